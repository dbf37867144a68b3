// Package crash cuts reconcile at every named fault point and looks at what is
// left: the menu is the old or the new one, every file it names is there and
// verifies, and the next run converges without a trace of the cut. So it is where
// the disk becomes full or fails at such a point, and wherever else a run is killed.
package crash

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// A machine is a stage, a boot folder and the program that fills them.
type machine struct {
	gitboot, repo string
	dir           string
	// origin is the folder of the machine this one was copied from.
	origin string
	// boot is the file system that GRUB reads, if it cannot read the stage.
	boot string
	// esp says that systemd-boot reads it, which wants it whole.
	esp bool
}

func (m machine) stage() string { return filepath.Join(m.dir, "stage") }
func (m machine) grub() string {
	if m.esp {
		return m.boot
	}
	return filepath.Join(cmp.Or(m.boot, m.dir), "grub")
}

func (m machine) menu() string {
	if m.boot != "" {
		return filepath.Join(m.grub(), "gitboot/gitboot.cfg")
	}
	return filepath.Join(m.stage(), "boot/gitboot.cfg")
}

func (m machine) run(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), m.gitboot, m.args(args...)...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (m machine) args(command ...string) []string {
	command = append(command, "--repo", m.repo, "--machine", "laptop", "--stage", m.stage(), "--boot", m.grub())
	if m.boot == "" {
		command = append(command, "--stage-location", "UUID=0000-0000:/gitboot")
	}
	return command
}

func (m machine) mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.run(t, nil, args...)
	if err != nil {
		t.Fatalf("gitboot %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// copy gives a machine with the same content. Objects are immutable, so they
// are linked rather than copied.
func (m machine) copy(t *testing.T) machine {
	t.Helper()
	c := m
	c.dir, c.origin = t.TempDir(), m.dir
	for _, folder := range []string{"stage", "grub"} {
		if _, err := lab.Run(t.Context(), "cp", "-a", "--link", filepath.Join(m.dir, folder), c.dir); err != nil {
			t.Fatal(err)
		}
	}
	// What is replaced by rename may be shared; what is locked may not.
	for _, lock := range []string{"lock", "workshop/lock", "engine/lock"} {
		if err := os.Remove(filepath.Join(c.stage(), lock)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return c
}

var created = regexp.MustCompile(`\(\d{4}-\d\d-\d\d \d\d:\d\d,`)

// readMenu returns the menu without the minute in which it was made.
func (m machine) readMenu(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(m.menu())
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return created.ReplaceAllString(string(data), "(")
}

var deploymentArg = regexp.MustCompile(deployment.ParamDeployment + `=([0-9a-f]{64})`)

// checkBootable verifies everything that the menu names. Files that the
// machine shares with the one it was copied from are known to be whole.
func (m machine) checkBootable(t *testing.T) {
	t.Helper()
	for _, match := range deploymentArg.FindAllStringSubmatch(m.readMenu(t), -1) {
		m.checkDeployment(t, match[1])
	}
}

// checkDeployment verifies a deployment, and all that it names.
func (m machine) checkDeployment(t *testing.T, id string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(m.stage(), "deployments", id+".json"))
	if err != nil {
		t.Errorf("what boots names a deployment that is not there: %v", err)
		return
	}
	manifest, err := deployment.ParseManifest(data, id)
	if err != nil {
		t.Error(err)
		return
	}
	for _, obj := range manifest.Objects() {
		if err := m.verify(obj); err != nil {
			t.Errorf("deployment %.12s: %v", id, err)
		}
	}
}

func (m machine) verify(obj deployment.Object) error {
	path := filepath.Join(m.stage(), obj.Path())
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if known, err := os.Stat(filepath.Join(m.origin, "stage", obj.Path())); err == nil && os.SameFile(info, known) {
		return nil
	}
	data, err := os.ReadFile(path)
	if err == nil && fmt.Sprintf("%x", sha256.Sum256(data)) != obj.SHA256 {
		err = fmt.Errorf("%s has other content than its name says", obj.Path())
	}
	return err
}

// checkConverged makes the next run and expects it to end where a run without
// a cut ends.
func (m machine) checkConverged(t *testing.T, newMenu string) {
	t.Helper()
	m.checkNext(t, newMenu)
	m.mustRun(t, "plan", "--exit-code")
	if left, err := filepath.Glob(filepath.Join(m.stage(), "tmp/*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	if out := m.mustRun(t, "stage", "gc", "--dry-run"); !strings.Contains(out, " 0 objects") {
		t.Errorf("garbage is left: %s", out)
	}
}

// checkDocuments expects all that another machine has to give of its images, for those in
// the house: a cut after which nothing is left to do has cost nothing of that.
func (m machine) checkDocuments(t *testing.T, whole machine) {
	t.Helper()
	want, err := filepath.Glob(filepath.Join(whole.stage(), "documents/sha256/*"))
	if err != nil || len(want) == 0 {
		t.Fatalf("a run that is not cut keeps no documents: %v", err)
	}
	for _, document := range want {
		if _, err := os.Stat(filepath.Join(m.stage(), "documents/sha256", filepath.Base(document))); err != nil {
			t.Error(err)
		}
	}
}

// checkNext makes the next run and expects it to end with the same menu as a run
// without a cut.
func (m machine) checkNext(t *testing.T, newMenu string) {
	t.Helper()
	m.mustRun(t, "reconcile", "--once")
	if menu := m.readMenu(t); menu != newMenu {
		t.Errorf("after the next run the menu is\n%s\nwant\n%s", menu, newMenu)
	}
	m.checkBootable(t)
}

// points lists the fault points that a run passes, in order.
func points(t *testing.T, m machine) []string {
	t.Helper()
	list := filepath.Join(t.TempDir(), "points")
	if out, err := m.run(t, []string{"GITBOOT_FAULT_LIST=" + list}, "reconcile", "--once"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(data))
}

func TestCutAtEveryPoint(t *testing.T) {
	lab.RequireMachines(t)
	before := prepare(t)
	oldMenu := before.readMenu(t)
	whole := before.copy(t)
	names := points(t, whole)
	if len(names) < 20 {
		t.Fatalf("a run passes only %d fault points: %v", len(names), names)
	}
	newMenu := whole.readMenu(t)
	if oldMenu == "" || oldMenu == newMenu {
		t.Fatal("the second revision does not change the menu: nothing to test")
	}
	for _, name := range names {
		t.Run("kill at "+name, func(t *testing.T) {
			m := before.copy(t)
			out, err := m.run(t, []string{"GITBOOT_FAULT=" + name + ":kill"}, "reconcile", "--once")
			if !killed(err) {
				t.Fatalf("the run was not killed: %v\n%s", err, out)
			}
			if menu := m.readMenu(t); menu != oldMenu && menu != newMenu {
				t.Errorf("the menu is neither the old nor the new one:\n%s", menu)
			}
			m.checkBootable(t)
			m.checkConverged(t, newMenu)
			m.checkDocuments(t, whole)
		})
	}
	for _, name := range names {
		if strings.Contains(name, "#") {
			continue // the same place, at another layer
		}
		t.Run("disk full at "+name, func(t *testing.T) {
			m := before.copy(t)
			out, err := m.run(t, []string{"GITBOOT_FAULT=" + name + ":enospc"}, "reconcile", "--once")
			beside := name == "documents.record" // kept for other machines: nothing of this one lacks
			if (err == nil) != beside || !strings.Contains(out, "no space left") {
				t.Errorf("the run does not say that the disk is full: %v\n%s", err, out)
			}
			if menu := m.readMenu(t); menu != oldMenu && menu != newMenu {
				t.Errorf("the menu is neither the old nor the new one:\n%s", menu)
			}
			m.checkConverged(t, newMenu)
		})
	}
}

// killed reports whether a process's end was that of a cut.
func killed(err error) bool {
	exit := (*exec.ExitError)(nil)
	return errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

// A first run that is cut leaves no menu or the whole one, and GRUB is led to no
// menu that is not there; the next run converges.
func TestCutFirstRun(t *testing.T) {
	lab.RequireMachines(t)
	m := prepare(t)
	fresh := func(t *testing.T) machine {
		m := m
		m.dir = t.TempDir()
		makeGRUBFolder(t, m)
		return m
	}
	whole := fresh(t)
	names := points(t, whole)
	want := whole.readMenu(t)
	if !strings.Contains(want, "menuentry") || !whole.linked(t) {
		t.Fatalf("a first run that is not cut gives no menu:\n%s", want)
	}
	again := func(name string) bool { return strings.Contains(name, "#") } // the same place, at another layer
	for _, name := range slices.DeleteFunc(names, again) {
		t.Run(name, func(t *testing.T) {
			m := fresh(t)
			if out, err := m.run(t, []string{"GITBOOT_FAULT=" + name + ":kill"}, "reconcile", "--once"); err == nil {
				t.Fatalf("the run was not killed\n%s", out)
			}
			if menu := m.readMenu(t); menu != want && (menu != "" || m.linked(t)) {
				t.Errorf("linked: %v, and the menu is\n%s", m.linked(t), menu)
			}
			m.checkBootable(t)
			m.mustRun(t, "reconcile", "--once")
			if menu := m.readMenu(t); menu != want || !m.linked(t) {
				t.Errorf("after the next run, linked: %v, and the menu is\n%s", m.linked(t), menu)
			}
			m.checkBootable(t)
		})
	}
}

// linked reports whether GRUB is led to the menu.
func (m machine) linked(t *testing.T) bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(m.grub(), "custom.cfg"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return bytes.Contains(data, []byte("gitboot.cfg"))
}

func makeGRUBFolder(t *testing.T, m machine) {
	t.Helper()
	if err := os.Mkdir(m.grub(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.grub(), "grub.cfg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// prepare gives a machine on its first revision whose config repo has a
// second one: another top layer and another host name.
func prepare(t *testing.T) machine {
	t.Helper()
	w := newWorkplace(t)
	first, second := pushTwo(t, w.registry, w.dir)
	commit(t, t.Context(), w.repo, first, "one")
	m := machine{gitboot: w.gitboot, repo: w.repo.Dir, dir: t.TempDir()}
	makeGRUBFolder(t, m)
	m.mustRun(t, "reconcile", "--once")
	commit(t, t.Context(), w.repo, second, "two")
	return m
}

// A workplace is what machines share: gitboot with fault points, a registry, and
// an empty config repo.
type workplace struct {
	dir, gitboot string
	registry     *lab.Registry
	repo         *lab.Repo
}

func newWorkplace(t *testing.T) workplace {
	t.Helper()
	w := workplace{dir: t.TempDir()}
	var err error
	if w.gitboot, err = lab.Build(t.Context(), w.dir, "faults"); err != nil {
		t.Fatal(err)
	}
	if w.registry, err = lab.NewRegistry(filepath.Join(w.dir, "registry")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.registry.Close() })
	if w.repo, err = lab.NewRepo(t.Context(), filepath.Join(w.dir, "repo")); err != nil {
		t.Fatal(err)
	}
	return w
}

func commit(t *testing.T, ctx context.Context, repo *lab.Repo, ref, hostname string) {
	t.Helper()
	config := `[image.desktop]
pull = "` + ref + `"
insecure = true
keep = 1

[machine.laptop]
images = ["desktop"]
hooks = ["hostname"]

[hook.hostname.hostname]
name = "` + hostname + `"
`
	if err := repo.Write("gitboot.toml", config); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(ctx, "hostname "+hostname); err != nil {
		t.Fatal(err)
	}
}
