package router

// MaxHeld is how many alerts wait.
const MaxHeld = maxHeld
