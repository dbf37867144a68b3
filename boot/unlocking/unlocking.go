// Package unlocking says which ways lead into an encrypted disk at boot, by what its
// header says and what is declared, and for which of them somebody has to be there. It
// opens nothing: whether a passphrase, a file or a TPM is the right one shows at boot.
package unlocking

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/luks"
	"github.com/gitboot/gitboot/initramfs/early/tpm"
)

// A Way is one of those that process 1 tries, in its order.
type Way struct {
	// Name is deployment's.
	Name string
	// By says what of the disk, or of another, it goes by.
	By string
	// Attended says that somebody has to type something.
	Attended bool
	// Wrong is why it leads nowhere, nil if it may lead in.
	Wrong error
}

// Ways are those that are declared for a disk.
func Ways(h *luks.Header, how deployment.Unlock) (ways []Way) {
	sealed := slices.ContainsFunc(h.Tokens, func(t luks.Token) bool { return t.Type == tpm.TokenType })
	for _, name := range how.Order(sealed) {
		switch name {
		case deployment.UnlockTPM2:
			ways = append(ways, byTPM(h))
		case deployment.UnlockKeyFile:
			ways = append(ways, byKey(h, Way{Name: name, By: how.KeyFile.String()}))
		default:
			ways = append(ways, byKey(h, Way{Name: name, By: "slot " + strings.Join(typed(h), ", "), Attended: true}))
		}
	}
	return ways
}

// Check refuses a disk that none of its ways leads into.
func Check(h *luks.Header, how deployment.Unlock) error {
	var problems []error
	for _, w := range Ways(h, how) {
		if w.Wrong == nil {
			return nil
		}
		problems = append(problems, fmt.Errorf("by %s: %w", w.Name, w.Wrong))
	}
	return fmt.Errorf("nothing that is declared opens the encrypted disk %s at boot, %w", h.UUID, errors.Join(problems...))
}

// Unattended reports whether one of the ways that may lead in takes nobody.
func Unattended(ways []Way) bool {
	return slices.ContainsFunc(ways, func(w Way) bool { return w.Wrong == nil && !w.Attended })
}

// typed are the names of the slots whose passphrase somebody may know: of those that
// tokens open, a recovery key's alone.
func typed(h *luks.Header) (names []string) {
	taken := map[string]bool{}
	for _, t := range h.Tokens {
		for _, slot := range t.Slots {
			taken[slot] = taken[slot] || t.Type != "systemd-recovery"
		}
	}
	for _, s := range h.Slots() {
		if !taken[s.Name] {
			names = append(names, s.Name)
		}
	}
	return names
}

// byKey is a way with a passphrase that is no TPM's.
func byKey(h *luks.Header, w Way) Way {
	if len(typed(h)) == 0 {
		w.Wrong = errors.New("it has no key slot with a passphrase of its own; add one with cryptsetup luksAddKey")
	}
	return w
}

// byTPM is the way of the first token that can be used. One that takes no PIN goes first
// here, as process 1 gets in by any.
func byTPM(h *luks.Header) Way {
	w := Way{Name: deployment.UnlockTPM2}
	var problems []error
	for _, t := range h.Tokens {
		if t.Type != tpm.TokenType {
			continue
		}
		sealed, err := tpm.Parse(t.JSON)
		if err == nil && (w.By == "" || w.Attended && !sealed.PIN) {
			w.By, w.Attended = sealed.String(), sealed.PIN
		}
		problems = append(problems, err)
	}
	switch err := errors.Join(problems...); {
	case w.By != "":
	case err != nil:
		w.Wrong = err
	default:
		w.Wrong = tpm.ErrNone
	}
	return w
}
