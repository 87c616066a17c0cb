package main

// Run is the program.
var Run = run

// MaxBody is the largest body that is read.
const MaxBody = maxBody
