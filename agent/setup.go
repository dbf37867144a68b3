package agent

import (
	"context"
	"sync"

	"github.com/gitboot/gitboot/reconciler/report"
)

// A setup is what agent.toml says now, for whoever asks from outside.
type setup struct {
	mu  sync.Mutex
	set Setup
}

func (s *setup) get() Setup {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set
}

func (s *setup) put(set Setup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set = set
}

func (s *setup) report(ctx context.Context) (report.Status, error) {
	return s.get().Reconciler.Status(ctx)
}
