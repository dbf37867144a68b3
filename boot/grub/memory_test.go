package grub

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/boot/loader/suite"
	"github.com/gitboot/gitboot/tests/need"
)

func TestMemory(t *testing.T) {
	need.Programs(t, "grub-emu", "mke2fs", "debugfs", "script")
	suite.RunMemory(t, func(t *testing.T) suite.Counting {
		g, err := Open(t.TempDir(), t.TempDir())
		must(t, err)
		return g
	}, suite.Way{}, func(t *testing.T, l suite.Counting, how suite.Boot) string {
		return emulation{boots: how}.boot(t, l.(*GRUB))
	})
}

// An emulation is a boot of a real GRUB, from a disk with an ext4, which it can
// write to.
type emulation struct {
	boots suite.Boot
	// saves is how often GRUB can write to its block, 0 for always.
	saves int
	// before is the distribution's menu, if it is not this one.
	before string
}

// theirs is a distribution's menu: its own entry is the default.
const theirs = `set default=0
set timeout=0
menuentry theirs --id theirs {
  echo "BOOTED <theirs>"
  exit
}
`

// The kernel is not loaded but looked for, and the initramfs is what boots.
const loads = `
function test_linux {
  set test_kernel="$1"
  [ -f "(hd0)$1" ]
}
function test_initrd {
  if [ -f "(hd0)$1" ]; then
    echo "BOOTED <$test_kernel>"
    exit
  fi
  false
}
export test_saves
function test_save_env {
  if [ "$test_saves" = 0 ]; then
    false
  else
    if [ "$test_saves" = 1 ]; then
      set test_saves=0
    fi
    save_env "$@"
  fi
}
set gitboot_stage=hd0
source (hd0)/gitboot/boot/gitboot.cfg
unset gitboot_stage
`

var commands = regexp.MustCompile(`(?m)^(\s*(?:if )?)(linux|initrd|save_env) `)

// boot returns the entry that GRUB boots, "" for the distribution's, and has the
// stage as it is after the boot.
func (e emulation) boot(t *testing.T, g *GRUB) string {
	t.Helper()
	dir := t.TempDir()
	root, disk := filepath.Join(dir, "root"), filepath.Join(dir, "disk")
	stage := filepath.Join(root, "gitboot")
	must(t, os.MkdirAll(filepath.Join(stage, "objects/sha256"), 0o755))
	must(t, os.CopyFS(filepath.Join(stage, "boot"), os.DirFS(filepath.Join(g.stage, "boot"))))
	text, err := readMenu(g.menuPath())
	must(t, err)
	kernels := kernelsOf(text)
	for file := range kernels {
		if path.Base(file) != path.Base(e.boots.Lost) {
			must(t, os.WriteFile(filepath.Join(root, file), []byte(file), 0o600))
		}
	}
	must(t, os.WriteFile(filepath.Join(stage, MenuFile), commands.ReplaceAll(text, []byte("${1}test_$2 ")), 0o600))
	tool(t, "mke2fs", "-q", "-t", "ext4", "-U", suite.Stage.UUID, "-d", root, disk, "8M")
	must(t, os.WriteFile(filepath.Join(dir, "device.map"), []byte("(hd0) "+disk+"\n"), 0o600))
	before := theirs
	if e.before != "" {
		before = e.before
	}
	if e.boots.Chosen {
		before = strings.Replace(before, "timeout=0", "timeout=9", 1)
	}
	if e.saves > 0 {
		before += "set test_saves=" + string(rune('0'+e.saves-1)) + "\n"
	}
	must(t, os.WriteFile(filepath.Join(dir, "grub.cfg"), []byte(before+loads), 0o600))
	booted := e.run(t, dir)
	for _, file := range []string{blockFile} {
		block := filepath.Join(g.stage, "boot", file)
		if _, err := os.Stat(block); err == nil { // as the machine finds it after the boot
			tool(t, "debugfs", "-R", "dump /gitboot/boot/"+file+" "+block, disk)
		}
	}
	return kernels[booted]
}

var kernelLine = regexp.MustCompile(`(?m)^\s*(?:if )?(?:linux|initrd) '([^']*)'`)

// kernelsOf maps the kernels and initramfs of a menu to the entries that load them.
func kernelsOf(menu []byte) map[string]string {
	out := map[string]string{}
	id := ""
	for line := range bytes.Lines(menu) {
		if m := entryLine().FindSubmatch(line); m != nil {
			id = string(m[1])
		}
		if m := kernelLine.FindSubmatch(line); m != nil {
			out[string(m[1])] = id
		}
	}
	return out
}

// run runs GRUB until it boots, and returns what.
func (e emulation) run(t *testing.T, dir string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	args := []string{"grub-emu", "-d", dir, "-r", "host", "-m", filepath.Join(dir, "device.map")}
	term := "TERM=dumb"
	if e.boots.Chosen { // keys come from a terminal
		args = []string{"script", "--quiet", "--flush", "--command", strings.Join(args, " "), "/dev/null"}
		term = "TERM=vt100"
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = []string{term, "PATH=/usr/bin:/bin", "SHELL=/bin/sh"}
	keys, err := cmd.StdinPipe()
	must(t, err)
	screen := &screenOf{keys: keys}
	if e.boots.Chosen {
		screen.prompts = []string{"executed automatically", "ESC to return"} // the second is a submenu's
	}
	cmd.Stdout, cmd.Stderr = screen, screen
	err = cmd.Run()
	m := regexp.MustCompile(`BOOTED\s+<([^>]*)>`).FindSubmatch(screen.text.Bytes())
	if ctx.Err() != nil || m == nil {
		t.Fatalf("grub-emu: %v: %s", err, regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|\r`).ReplaceAll(screen.text.Bytes(), nil))
	}
	return strings.Join(strings.Fields(string(m[1])), "") // GRUB wraps its lines
}

// A screenOf presses a key as soon as it shows what it is to wait for.
type screenOf struct {
	text    bytes.Buffer
	keys    io.WriteCloser
	prompts []string
}

func (s *screenOf) Write(p []byte) (int, error) {
	s.text.Write(p)
	if len(s.prompts) > 0 && bytes.Contains(s.text.Bytes(), []byte(s.prompts[0])) {
		s.prompts = s.prompts[1:]
		if _, err := io.WriteString(s.keys, "\r"); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// tried is a GRUB with a menu whose default is on trial.
func tried(t *testing.T, left int) (g *GRUB, m boot.Menu, path string) {
	t.Helper()
	g, err := Open(t.TempDir(), t.TempDir())
	must(t, err)
	m = testMenu(boot.ModeManaged)
	m.Stage = suite.Stage
	for i := range m.Images[0].Entries {
		e := &m.Images[0].Entries[i]
		e.Kernel, e.Initrd = "objects/sha256/k"+string(rune('3'-i)), "objects/sha256/i"+string(rune('3'-i))
	}
	m.Default, m.Fallback, m.Tries = m.Images[0].Entries[0].ID, m.Images[0].Entries[1].ID, 3
	memory, err := g.Memory(t.Context(), m.Stage)
	must(t, err)
	must(t, memory.Change(func(b *boot.Memory) { b.Trying, b.Left = m.Default, left }))
	must(t, g.Publish(t.Context(), m))
	return g, m, filepath.Join(g.stage, "boot", blockFile)
}

// Whatever has become of the block, the machine boots: what is on trial only if that
// can be counted, and no more often than it has tries; also if the block is damaged
// again before each boot.
func TestDamagedBlocks(t *testing.T) {
	need.Programs(t, "grub-emu", "mke2fs", "debugfs")
	replaced := func(old, with string) func(data []byte) []byte {
		return func(data []byte) []byte { return bytes.Replace(data, []byte(old), []byte(with), 1) }
	}
	for name, c := range map[string]struct {
		spoil func(data []byte) []byte
		tries int
	}{
		"whole":      {bytes.Clone, 2},
		"torn":       {func(data []byte) []byte { return append(data[:512:512], bytes.Repeat([]byte("#"), 512)...) }, 2},
		"torn early": {func(data []byte) []byte { return append(bytes.Repeat([]byte{0}, 512), data[512:]...) }, 0},
		"cut":        {func(data []byte) []byte { return data[:600] }, 2},
		"cut early":  {func(data []byte) []byte { return data[:40] }, 0},
		"empty":      {func([]byte) []byte { return nil }, 0},
		"zeros":      {func([]byte) []byte { return make([]byte, 1024) }, 0},
		"garbage":    {func([]byte) []byte { return bytes.Repeat([]byte("\xff\\\n="), 256) }, 0},
		"no number":  {replaced("left=2", "left=x"), 0},
		"no count":   {replaced("left=2", "lift=2"), 0},
		"ten":        {replaced("left=2\n", "left=10"), 0},
		"commands":   {replaced("left=2", "left=1;"), 0},
		"no trial":   {replaced("trying=", "crying="), 3},
		"another's":  {replaced("trying=gitboot-", "trying=gitbood-"), 3},
		"no name": {func(data []byte) []byte {
			return append(append(data[:25:25], "gitboot_left=2\n"...), bytes.Repeat([]byte("#"), 984)...)
		}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, m, path := tried(t, 2)
			spoil := func() {
				data, err := os.ReadFile(path)
				must(t, err)
				must(t, os.WriteFile(path, c.spoil(data), 0o600))
			}
			for n := range c.tries + 2 {
				if n == 0 || c.tries < m.Tries { // what has tries anew is written by somebody, not torn
					spoil()
				}
				want := m.Fallback
				if n < c.tries {
					want = m.Default
				}
				if id := (emulation{}).boot(t, g); id != want {
					t.Errorf("boot %d: %q boots, want %q", n+1, id, want)
				}
			}
			memory, err := g.Memory(t.Context(), m.Stage)
			must(t, err)
			must(t, memory.Change(func(b *boot.Memory) { *b = boot.Memory{Trying: m.Default, Left: 1} }))
			if id := (emulation{}).boot(t, g); id != m.Default {
				t.Errorf("%q boots when it is written anew, want %q", id, m.Default)
			}
		})
	}
}

// What cannot be counted does not boot: the block could not be written at all, or
// not when the boot was to be counted.
func TestUnwritten(t *testing.T) {
	need.Programs(t, "grub-emu", "mke2fs", "debugfs")
	g, m, path := tried(t, 2)
	for saves := 1; saves <= 2; saves++ {
		for range 2 {
			if id := (emulation{saves: saves}).boot(t, g); id != m.Fallback {
				t.Errorf("after %d writes %q boots, want %q", saves-1, id, m.Fallback)
			}
		}
	}
	must(t, os.Remove(path))
	if id := (emulation{}).boot(t, g); id != m.Fallback {
		t.Errorf("without a block %q boots, want %q", id, m.Fallback)
	}
}

// What somebody else asks for once goes first, and is not counted; a menu that would
// wait for ever does not while something is on trial.
func TestOthersWishes(t *testing.T) {
	need.Programs(t, "grub-emu", "mke2fs", "debugfs")
	g, m, _ := tried(t, 2)
	left := func(want int) {
		t.Helper()
		memory, err := g.Memory(t.Context(), m.Stage)
		must(t, err)
		if b, err := memory.Read(); err != nil || b.Left != want {
			t.Errorf("%d are left, %v; want %d", b.Left, err, want)
		}
	}
	before := strings.Replace(theirs, "default=0", "default="+m.Default+"\nset boot_once=true", 1)
	if id := (emulation{before: before}).boot(t, g); id != m.Default {
		t.Errorf("asked for %q, %q boots", m.Default, id)
	}
	left(2)
	before = strings.Replace(theirs, "set timeout=0", "set timeout=-1\nset timeout_style=hidden", 1)
	if id := (emulation{before: before}).boot(t, g); id != m.Default {
		t.Errorf("%q boots", id)
	}
	left(1)
}

func TestWhereTheBlockLies(t *testing.T) {
	plain := boot.Filesystem{UUID: ext4.UUID, Path: "/gitboot"}
	for kind, fit := range map[string]bool{"ext4": true, "ext2": true, "xfs": true, "vfat": true, "": true, "btrfs": false, "f2fs": false} {
		at := plain
		at.Type = kind
		g := Booted(t.TempDir())
		m, err := g.Memory(t.Context(), at)
		if (err == nil) != fit {
			t.Errorf("%s: %v", kind, err)
		}
		if fit && m.Location().Device != "" {
			t.Errorf("%s: it lies at %s", kind, m.Location())
		}
		menu := testMenu(boot.ModeManaged)
		menu.Stage, menu.Tries, menu.Fallback = at, 3, menu.Images[0].Entries[0].ID
		if err := g.Publish(t.Context(), menu); (err == nil) != fit {
			t.Errorf("%s: boots are to be counted: %v", kind, err)
		}
	}
}

// Where GRUB cannot write to the stage, the block lies beside custom.cfg, else on
// the EFI system partition.
func TestBlockElsewhere(t *testing.T) {
	need.Root(t)
	root := filepath.Join(t.TempDir(), "root")
	need.Filesystem(t, root, 64<<20, "defaults", "mkfs.ext4", "-q")
	dir, efi := filepath.Join(root, "boot/grub"), filepath.Join(root, "boot/efi/EFI")
	must(t, errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(efi, 0o755)))
	g, err := Open(dir, t.TempDir())
	must(t, err)
	at := boot.Filesystem{UUID: ext4.UUID, Type: "btrfs", Path: "/gitboot"}
	m, err := g.Memory(t.Context(), at)
	must(t, err)
	must(t, m.Change(func(b *boot.Memory) { b.Once = boot.TrialID("1") }))
	if got, want := m.Location().Path, "/boot/grub/gitboot/gitboot.env"; got != want {
		t.Errorf("it lies at %s, want %s", got, want)
	}
	data, err := os.ReadFile(filepath.Join(dir, "gitboot/gitboot.env"))
	must(t, err)
	if _, err := env.Parse(data); err != nil {
		t.Error(err)
	}
	menu := testMenu(boot.ModeManaged)
	menu.Stage, menu.Tries, menu.Fallback = at, 3, menu.Images[0].Entries[0].ID
	text, err := g.render(t.Context(), site{stage: at}, menu)
	must(t, err)
	fs := m.Location().Device
	if want := "search --no-floppy --fs-uuid --set=gitboot_block " + strings.TrimPrefix(fs, "UUID="); !strings.Contains(string(text), want) {
		t.Errorf("the menu lacks %q:\n%s", want, text)
	}
	must(t, g.Unlink())
}

// A block that is damaged holds nothing, and is written anew.
func TestDamagedEnvironment(t *testing.T) {
	g, err := Open(t.TempDir(), t.TempDir())
	must(t, err)
	m, err := g.Memory(t.Context(), ext4)
	must(t, err)
	path := filepath.Join(g.stage, "boot", blockFile)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte("no block"), 0o600))
	if b, err := m.Read(); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("%+v, %v", b, err)
	}
	must(t, m.Change(func(*boot.Memory) {}))
	if b, err := m.Read(); err != nil || b != (boot.Memory{}) {
		t.Errorf("%+v, %v", b, err)
	}
	before, err := os.Stat(path)
	must(t, err)
	must(t, m.Change(func(*boot.Memory) {}))
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Error("what says the same is written again", err)
	}
}

func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
