package engines

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/spec"
)

// Each engine answers to its name, and a config repo may name these and no
// others.
func TestNames(t *testing.T) {
	for _, name := range Names() {
		e, err := Open(name, Options{Dir: t.TempDir()})
		if err != nil || e.Name() != name {
			t.Errorf("engine %s: %v, %v", name, e, err)
		}
		if err := declared(t, name); err != nil {
			t.Errorf("engine %s cannot be declared: %v", name, err)
		}
	}
	if !slices.Contains(Names(), Default) {
		t.Errorf("%s is the default, and is none", Default)
	}
	err := declared(t, "kaniko")
	if err == nil {
		t.Fatal("an engine that is none can be declared")
	}
	for _, name := range Names() {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v: lacks %s", err, name)
		}
	}
	if _, err := Open("kaniko", Options{}); err == nil || !strings.Contains(err.Error(), strings.Join(Names(), ", ")) {
		t.Errorf("an engine that is none is opened: %v", err)
	}
}

func declared(t *testing.T, name string) error {
	t.Helper()
	_, err := spec.Load(t.Context(), fstest.MapFS{"gitboot.toml": {Data: []byte("[image.a.build]\nfrom = \"registry.example/base:1\"\nengine = \"" + name + "\"\nrun = [\"true\"]\n")}})
	return err
}
