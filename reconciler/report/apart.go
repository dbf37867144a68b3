package report

import (
	"context"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/state"
)

// TrialStatus is what is tried. Asked says that it boots next, Booted that it runs;
// with neither it was booted and left, and the next run removes it.
type TrialStatus struct {
	state.Trial
	Entry  string `json:"entry"`
	Asked  bool   `json:"asked"`
	Booted bool   `json:"booted"`
}

// RecoveryStatus is the recovery entry: Damaged says what it lacks, Hidden that the
// menu does not have it.
type RecoveryStatus struct {
	Entry      string         `json:"entry"`
	Deployment string         `json:"deployment"`
	Image      string         `json:"image"`
	Kernel     string         `json:"kernel"`
	Made       time.Time      `json:"made,omitzero"`
	Damaged    string         `json:"damaged,omitempty"`
	Hidden     bool           `json:"hidden"`
	Failure    *state.Failure `json:"failure,omitempty"`
}

// SafeStatus is the entry without graphics drivers, and what it boots: Hidden says that the
// menu does not have it.
type SafeStatus struct {
	Entry      string `json:"entry"`
	Image      string `json:"image"`
	Generation int    `json:"generation"`
	Deployment string `json:"deployment"`
	Hidden     bool   `json:"hidden"`
}

func safeStatus(doc *state.Machine, shown map[string]bool) *SafeStatus {
	of := menu.SafeGraphics(doc)
	if of == nil {
		return nil
	}
	return &SafeStatus{Entry: boot.SafeGraphicsID, Image: of.Image, Generation: of.N, Deployment: of.Deployment, Hidden: !shown[boot.SafeGraphicsID]}
}

func recoveryStatus(book *menu.Book, r *state.Recovery, shown map[string]bool) *RecoveryStatus {
	if r == nil {
		return nil
	}
	s := &RecoveryStatus{
		Entry: boot.RecoveryID, Deployment: r.Deployment, Image: r.Image, Kernel: r.Kernel, Made: r.Made, Hidden: !shown[boot.RecoveryID], Failure: public(r.Failure),
	}
	if r.Deployment != "" {
		s.Damaged = inventory.Lack(book.Stage, r.Deployment)
	}
	return s
}

func trialStatus(ctx context.Context, book *menu.Book, t *state.Trial) *TrialStatus {
	if t == nil {
		return nil
	}
	s := &TrialStatus{Trial: *t, Entry: boot.TrialID(t.Deployment), Booted: t.Deployment == book.Booted}
	if fs, err := book.Locate(ctx); err == nil {
		if memory, err := book.Memory(ctx, fs); err == nil {
			is, err := memory.Read()
			s.Asked = err == nil && is.Once == s.Entry
		}
	}
	return s
}
