package integrity

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/dm"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/damage"
)

// Heed has what boots have come across be damaged for the next reconcile, once for each
// boot: another may lie in its place since. The caller holds the lock.
func Heed(st *stage.Stage, boots []deployment.Boot) error {
	for _, b := range boots {
		found := b.Unmarked()
		for _, hash := range found {
			if err := damage.MarkOne(st, hash, "it was found to be damaged when it was booted"); err != nil {
				return err
			}
		}
		if len(found) == 0 {
			continue
		}
		b.Marked = b.Damaged
		data, err := b.Encode()
		if err == nil {
			err = durable.WriteFile(filepath.Join(st.Dir(), filepath.FromSlash(b.Path())), data, 0o600)
		}
		if err != nil {
			return fmt.Errorf("note what a boot has found: %w", err)
		}
	}
	return nil
}

// Unheeded reports whether boots have come across something that Heed has not seen.
func Unheeded(boots []deployment.Boot) bool {
	return slices.ContainsFunc(boots, func(b deployment.Boot) bool { return len(b.Unmarked()) > 0 })
}

// Asked are the objects of the running deployment of which the kernel has found, since
// it was booted, that they are not what they were. Of layers that are not verified
// nothing is known.
func Asked(st *stage.Stage, booted string) (found []string, err error) {
	if booted == "" {
		return nil, nil
	}
	m, err := st.Deployment(booted)
	if err != nil || m.Verity == nil {
		return nil, nil // what cannot be read is told elsewhere
	}
	var layers []string
	for _, o := range m.Squashed() {
		layers = append(layers, o.SHA256)
	}
	return dm.FoundDamaged(deployment.VerityDevice, layers)
}

// Ask has what the kernel has found be damaged for the next reconcile, and returns what
// was not known. It writes nothing, and takes no lock, if all was. bootID is the running
// boot's.
func Ask(ctx context.Context, st *stage.Stage, booted, bootID string) (news []string, err error) {
	found, err := Asked(st, booted)
	if len(found) == 0 || !deployment.IsBootID(bootID) {
		return nil, err
	}
	b, err := deployment.ReadBoot(st.Dir(), bootID)
	if err != nil { // the next look has made one
		return nil, nil
	}
	known := len(b.Damaged)
	for _, hash := range found {
		if !b.Knows(hash) {
			b.Damaged = append(b.Damaged, hash)
		}
	}
	if news = b.Damaged[known:]; len(news) == 0 && len(b.Unmarked()) == 0 {
		return nil, nil
	}
	lock, err := st.Lock(ctx, true)
	if err != nil {
		return nil, err
	}
	return news, errors.Join(Heed(st, []deployment.Boot{b}), lock.Release())
}
