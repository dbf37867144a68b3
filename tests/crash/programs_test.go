package crash

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// TestCutPrograms cuts a run that signs another program for the machine's EFI system
// partition, where that and what belongs to it is done: what systemd-boot shows is
// whole and signed, and is what was or what comes.
func TestCutPrograms(t *testing.T) {
	lab.RequireMachines(t)
	m := preparePrograms(t)
	before := keepFor(t, m)
	old := m.checkPrograms(t)
	names := publishing(points(t, m))
	comes := m.checkPrograms(t)
	if len(old) != 1 || len(comes) != 1 || old[0] == comes[0] || len(names) < 8 {
		t.Fatalf("of these there is nothing to test: %v, %v, %v", old, comes, names)
	}
	for _, name := range names {
		for action, said := range map[string]string{"kill": "", "enospc": "no space left"} {
			t.Run(action+" at "+name, func(t *testing.T) {
				before(t)
				out, err := m.run(t, []string{"GITBOOT_FAULT=" + name + ":" + action}, "reconcile", "--once")
				if err == nil || !strings.Contains(out, said) {
					t.Fatalf("the run was not cut: %v\n%s", err, out)
				}
				for _, is := range m.checkPrograms(t) {
					if is != old[0] && is != comes[0] {
						t.Errorf("%s is neither the old nor the new entry", is)
					}
				}
				m.mustRun(t, "reconcile", "--once")
				m.mustRun(t, "plan", "--exit-code")
				if is := m.checkPrograms(t); !slices.Equal(is, comes) {
					t.Errorf("the next run ends with %v, not with %v", is, comes)
				}
				m.checkOnlyNamed(t)
			})
		}
	}
}

// preparePrograms is a machine with systemd-boot, all of whose entries are signed. Its
// second revision has another kernel.
func preparePrograms(t *testing.T) machine {
	t.Helper()
	w := newWorkplace(t)
	m := machine{gitboot: w.gitboot, repo: w.repo.Dir, dir: filepath.Join(w.dir, "machine"), boot: filepath.Join(w.dir, "esp"), esp: true}
	need.Filesystem(t, m.dir, 256<<20, "defaults", "mkfs.ext4", "-q")
	need.Filesystem(t, m.boot, 64<<20, "defaults", "mkfs.ext4", "-q")
	program := filepath.Join(m.grub(), "EFI/systemd/systemd-bootx64.efi")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(t.Context(), "cp", "/usr/lib/systemd/boot/efi/systemd-bootx64.efi", program); err != nil {
		t.Fatal(err)
	}
	m.mustRun(t, "keys", "create")
	for _, version := range []string{"6.1.0", "6.2.0"} {
		commitPrograms(t, w, pushSmall(t, w.registry, w.dir, version))
		if version == "6.1.0" {
			m.mustRun(t, "reconcile", "--once")
		}
	}
	return m
}

func commitPrograms(t *testing.T, w workplace, ref string) {
	t.Helper()
	err := w.repo.Write("gitboot.toml", fmt.Sprintf(`[image.desktop]
pull = %q
insecure = true
keep = 1

[machine.laptop]
images = ["desktop"]
boot = { mode = "menu", loader = "systemd-boot", secure_boot = true }
`, ref))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.repo.Commit(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
}

var (
	entryProgram = regexp.MustCompile(`(?m)^(?:efi|linux) +/(\S+)$`)
	entryDefault = regexp.MustCompile(`(?m)^default +(\S+)$`)
)

// entries are the texts of systemd-boot's, by name.
func (m machine) entries(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(m.grub(), "loader/entries/*.conf"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = string(data)
	}
	return all
}

// checkPrograms verifies the program of each entry, and the deployment that it boots, and
// returns the entries' names. There has to be one, and one that boots by itself if that
// is said.
func (m machine) checkPrograms(t *testing.T) (names []string) {
	t.Helper()
	for name, text := range m.entries(t) {
		names = append(names, name)
		named := entryProgram.FindStringSubmatch(text)
		if named == nil {
			t.Errorf("%s names no program:\n%s", name, text)
			continue
		}
		file := filepath.Join(m.grub(), named[1])
		if _, err := lab.Run(t.Context(), "sbverify", "--cert", filepath.Join(m.stage(), "keys/db.crt"), file); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		id := deploymentArg.FindSubmatch(data)
		if id == nil {
			t.Errorf("the program of %s names no deployment", name)
			continue
		}
		m.checkDeployment(t, string(id[1]))
	}
	slices.Sort(names)
	conf, err := os.ReadFile(filepath.Join(m.grub(), "loader/loader.conf"))
	if err != nil {
		t.Fatal(err)
	}
	chosen := entryDefault.FindSubmatch(conf)
	boots := func(name string) bool {
		if chosen == nil {
			return true
		}
		is, err := path.Match(string(chosen[1]), name)
		return err == nil && is
	}
	if !slices.ContainsFunc(names, boots) {
		t.Errorf("none of %v boots by itself:\n%s", names, conf)
	}
	return names
}

// checkOnlyNamed sees that no program is left which no entry names.
func (m machine) checkOnlyNamed(t *testing.T) {
	t.Helper()
	var text strings.Builder
	for _, entry := range m.entries(t) {
		text.WriteString(entry)
	}
	left, err := os.ReadDir(filepath.Join(m.grub(), "gitboot"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if !strings.Contains(text.String(), "/gitboot/"+e.Name()) {
			t.Errorf("%s is left, and nothing names it", e.Name())
		}
	}
}
