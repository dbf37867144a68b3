package grub

import (
	"testing"

	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/loader/suite"
)

func TestLoader(t *testing.T) {
	suite.Run(t, func(t *testing.T) loader.Loader {
		g, err := Open(t.TempDir(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return g
	})
}

// In a running deployment GRUB's own folder is that of another system.
func TestBooted(t *testing.T) {
	g := Booted(t.TempDir())
	if linked, err := g.Linked(t.Context(), ext4); err != nil || !linked {
		t.Errorf("linked is %t, %v", linked, err)
	}
	if err := g.Link(t.Context(), ext4); err != nil {
		t.Error(err)
	}
	if err := g.Unlink(); err == nil {
		t.Error("it was unlinked")
	}
	m := testMenu("managed")
	if err := g.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if why, err := g.Stale(t.Context(), m); err != nil || why != "" {
		t.Errorf("stale: %q, %v", why, err)
	}
}
