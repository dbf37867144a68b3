//go:build long

package diskboot

import (
	"path/filepath"
	"testing"
)

// However often an installation is killed, it can be run again, and no other disk is
// touched.
func TestLongInstallIsCut(t *testing.T) {
	s := newSite(t)
	s.image(t, "a.img", "--stage", filepath.Join(s.dir, "stage"))
	s.install(t, 20)
}
