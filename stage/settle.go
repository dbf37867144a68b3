package stage

import (
	"context"
	"fmt"

	"github.com/gitboot/gitboot/internal/durable"
)

// Settle makes the boot loader see what was written, which replays no journal.
func (s *Stage) Settle(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	left, err := durable.Settle(s.boot())
	if err != nil {
		return s.full(fmt.Errorf("settle stage %s: %w", s.Dir(), err), 1)
	}
	if left != nil {
		s.log().Debug("stage is synced, its journal is left as it is", "stage", s.Dir(), "error", left)
	}
	return nil
}
