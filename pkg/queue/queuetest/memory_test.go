package queuetest_test

import (
	"errors"
	"testing"

	"github.com/masixun71/cupid/pkg/queue"
	"github.com/masixun71/cupid/pkg/queue/queuetest"
)

func TestMemory(t *testing.T) {
	queuetest.Run(t, func(*testing.T) queuetest.Store {
		return &queuetest.Memory{Limit: queuetest.Limit}
	})
}

func TestMemoryFailsOnDemand(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	m := queuetest.Memory{Fail: func(method string) error {
		if method == "Put" {
			return broken
		}
		return nil
	}}
	if err := m.Put(t.Context(), []queue.Put{{Group: "g"}}); !errors.Is(err, broken) || m.Depth("g") != 0 {
		t.Errorf("Put = %v, depth %d; want the planned error", err, m.Depth("g"))
	}
}
