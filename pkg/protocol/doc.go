// Package protocol holds a model of how a divergence gets from a chunk into the durable
// queue, and the search that checks the model whole: every order of steps, and
// every kill at every step. It is tests only, imports nothing of cupid, and names at each step
// the function that the step stands for; docs/protocol.md says what is proven and
// under which assumptions.
package protocol
