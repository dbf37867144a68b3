package build

import (
	"testing"

	"github.com/gitboot/gitboot/build/recipe"
)

// What one engine has built may be the base of what another builds: its children
// cannot tell.
func TestBasesMoveBetweenEngines(t *testing.T) {
	first := newEngine(t)
	r := recipe.Recipe{FS: repo(map[string]string{
		"f": "FROM $GITBOOT_FROM\nENV A=b\nWORKDIR /root\nUSER 1:1\nSHELL [\"/bin/sh\", \"-ec\"]\nCOPY f /etc/f\n",
	}), Containerfiles: []string{"f"}}
	made := must(t, first, r, Options{Base: busybox(t, first).ID})
	kit, err := NewBuildkit(BuildkitOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	at := made
	for _, e := range []Engine{kit, newEngine(t)} {
		if at, err = ImportBuilt(t.Context(), e, at, "", t.TempDir()); err != nil {
			t.Fatal(err)
		}
		if at.Content != made.Content || at.Digest != made.Digest {
			t.Errorf("%s holds %s of %s, not %s of %s", e.Name(), at.Content, at.Digest, made.Content, made.Digest)
		}
	}
	contents(t, at)
}
