//go:build !race

package queue_test

const cutEvery = 1
