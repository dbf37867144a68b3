package menu

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/boot"
)

// Where the firmware boots what is new only if it is asked to, a restart asks for it, and
// takes its one try; what boots by itself is not asked for. GRUB is asked for nothing.
func TestRestart(t *testing.T) {
	s := newShelf(t)
	top := t.TempDir()
	must(t, os.WriteFile(filepath.Join(top, "config.txt"), []byte("arm_boost=1\n"), 0o600))
	for image, state := range map[string]string{"router": boot.Trying, "desktop": boot.Good} {
		s.doc.Judge(s.doc.Images[image].Newest().Deployment, verdictOf(image, state))
	}
	for loader, want := range map[string]struct {
		folder, argument string
		left             int
	}{
		boot.GRUB:        {s.Folder, "", 3},
		boot.RaspberryPi: {top, "0 tryboot", 0},
	} {
		s.Folder, s.doc.Loader, s.FolderLocation = want.folder, loader, nil
		if loader == boot.RaspberryPi {
			s.FolderLocation = &boot.Filesystem{UUID: "1234-ABCD", Type: "vfat", Path: "/"}
		}
		s.Declared = &boot.Choice{Loader: loader}
		must(t, s.Publish(t.Context(), where, s.doc))
		must(t, s.Link(t.Context(), where))
		asked, err := BootsIfAsked(s.Book)
		must(t, err)
		argument, err := Restart(t.Context(), s.Book, where, s.doc)
		must(t, err)
		if asked != (want.argument != "") || argument != want.argument {
			t.Errorf("%s: it is restarted with %q", loader, argument)
		}
		if is := s.remembered(t); is.Trying != s.id("router", 0) || is.Left != want.left {
			t.Errorf("%s: it remembers %+v", loader, is)
		}
	}
	s.doc.Verdicts = nil
	must(t, s.Publish(t.Context(), where, s.doc))
	if argument, err := Restart(t.Context(), s.Book, where, s.doc); err != nil || argument != "" {
		t.Errorf("what boots by itself: %q, %v", argument, err)
	}
}
