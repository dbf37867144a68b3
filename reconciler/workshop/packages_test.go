package workshop

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/need"
)

// dpkg is a root file system whose package database has the given packages,
// NAME=VERSION each.
func dpkg(packages ...string) map[string]string {
	var status strings.Builder
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "=")
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n", name, version)
	}
	return map[string]string{"var/lib/dpkg/status": status.String()}
}

// stageGeneration stages what was built of an image as its newest generation.
func (s *testShop) stageGeneration(t *testing.T, name string) {
	t.Helper()
	made := s.doc(t).Builds[name]
	e, err := s.Engine("")
	must(t, err)
	img, err := e.Image(t.Context(), made.ID)
	must(t, err)
	l := img.Layers[0]
	layer, err := s.Stage.AddLayer(t.Context(), stage.Tar{DiffID: l.DiffID, Name: name, Size: l.Size, Open: l.Open})
	must(t, err)
	kernel, err := s.Stage.AddFile(t.Context(), strings.NewReader("kernel"))
	must(t, err)
	id, err := s.Stage.Publish(&deployment.Manifest{
		Version: deployment.Version, Image: name, Kernel: kernel, Initramfs: kernel, KernelVersion: "6.1", Layers: []deployment.Object{layer},
	})
	must(t, err)
	doc, err := state.LoadMachine(s.Stage.Dir())
	must(t, err)
	doc.Image(name).Add(state.Generation{N: 1, Deployment: id, Inputs: plan.Inputs{ImageDigest: made.Digest}})
	must(t, doc.Save(s.Stage.Dir(), nil))
}

// rebuild has a job give an image of other packages, as if it had built it.
func (s *testShop) rebuild(t *testing.T, name string, files map[string]string) *Job {
	t.Helper()
	j := s.look(t, wants(t, family), Request{})
	must(t, j.Begin(t.Context()))
	s.give(t, j, name, files)
	j.build(name).ran = true
	maker{j}.compareBuilds(t.Context())
	must(t, errors.Join(j.record(t.Context()), j.End()))
	return j
}

func summary(t *testing.T, j *Job, name string) string {
	t.Helper()
	for _, r := range j.Results() {
		if r.Image == name && r.Packages != nil {
			return r.Packages.String()
		}
	}
	return ""
}

// Which packages a build changes is known before it is staged, and forgotten when
// it is another one that is compared.
func TestBuiltPackages(t *testing.T) {
	need.Programs(t, "tar2sqfs")
	s := newShop(t)
	s.giveAll(t, wants(t, family))
	if j := s.rebuild(t, "kiosk", dpkg("a=1", "b=1")); summary(t, j, "kiosk") != "" {
		t.Errorf("compared with nothing: %q", summary(t, j, "kiosk"))
	}
	s.stageGeneration(t, "kiosk")
	if j := s.rebuild(t, "kiosk", dpkg("a=1", "b=1")); summary(t, j, "kiosk") != "" {
		t.Errorf("the same: %q", summary(t, j, "kiosk"))
	}
	j := s.rebuild(t, "kiosk", dpkg("a=2", "c=1"))
	first := summary(t, j, "kiosk")
	for _, want := range []string{"a 1 → 2", "b", "c"} {
		if !strings.Contains(first, want) {
			t.Errorf("%q lacks %q", first, want)
		}
	}
	// It is in the document, too, for who looks later, as long as the build is the
	// same and so is what is staged.
	if again := s.look(t, wants(t, family), Request{}); summary(t, again, "kiosk") != first || !again.Settled() {
		t.Errorf("later it is %q", summary(t, again, "kiosk"))
	}
	s.stageGeneration(t, "kiosk")
	if got := summary(t, s.look(t, wants(t, family), Request{}), "kiosk"); got != "" {
		t.Errorf("staged, it is still %q", got)
	}
}

// No build fails by what cannot be compared.
func TestPackagesAreNotKnown(t *testing.T) {
	need.Programs(t, "tar2sqfs")
	for what, c := range map[string]struct {
		damage func(*testing.T, *testShop)
		warns  bool
	}{
		"the machine's document": {func(t *testing.T, s *testShop) { must(t, os.WriteFile(s.Stage.StateFile(), []byte("{"), 0o600)) }, false},
		"the deployment": {func(t *testing.T, s *testShop) {
			ids, err := s.Stage.Deployments()
			must(t, err)
			must(t, s.Stage.RemoveDeployment(ids[0]))
		}, true},
	} {
		s := newShop(t)
		s.giveAll(t, wants(t, family))
		s.rebuild(t, "kiosk", dpkg("a=1"))
		s.stageGeneration(t, "kiosk")
		c.damage(t, s)
		j := s.rebuild(t, "kiosk", dpkg("a=2"))
		if warned := strings.Contains(s.log.String(), "which packages changed is not known"); summary(t, j, "kiosk") != "" || warned != c.warns || len(j.Failed()) > 0 {
			t.Errorf("%s: %q, warned %t, failed %v", what, summary(t, j, "kiosk"), warned, j.Failed())
		}
	}
	// One that the engine's store has lost meanwhile.
	s := newShop(t)
	s.giveAll(t, wants(t, family))
	s.rebuild(t, "kiosk", dpkg("a=1"))
	s.stageGeneration(t, "kiosk")
	j := s.rebuild(t, "kiosk", dpkg("a=2"))
	s.loseImages(t)
	maker{j}.compareBuilds(t.Context())
	if !strings.Contains(s.log.String(), "the engine's store does not hold it") {
		t.Error(s.log)
	}
}
