package webhook_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/masixun71/cupid/pkg/secret"
	"github.com/masixun71/cupid/pkg/webhook"
)

// BenchmarkPost is one signed post after the other to a server in the same process, which costs about half of it.
func BenchmarkPost(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer s.Close()
	c := webhook.New(webhook.Options{MaxConns: 64})
	defer c.Close()
	r := request(s.URL)
	r.Secrets = []secret.String{secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if out := c.Post(b.Context(), r); !out.Accepted {
				b.Error(out.Err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}
