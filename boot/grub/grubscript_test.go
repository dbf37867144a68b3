package grub

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/tests/need"
)

// TestScriptCheck has GRUB's own parser read everything that we write.
func TestScriptCheck(t *testing.T) {
	tool := need.Program(t, "grub-script-check")
	files, err := filepath.Glob("testdata/*.cfg")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if file == "testdata/empty.cfg" {
			continue // the tool, unlike GRUB, calls a script without commands an error
		}
		if out, err := exec.Command(tool, file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", file, err, out)
		}
	}
}

// runGRUB runs a script in a real GRUB and returns what it printed.
func runGRUB(t *testing.T, script string, files map[string]string) string {
	t.Helper()
	tool := need.Program(t, "grub-emu")
	dir := t.TempDir()
	files["grub.cfg"] = script + "\nexit\n"
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, "-d", dir, "-r", "host")
	cmd.Env = []string{"TERM=dumb", "PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("grub-emu did not end: %v: %s", err, out)
	}
	text := regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]|\r`).ReplaceAllString(string(out), "")
	_, text, _ = strings.Cut(text, "Welcome to GRUB!")
	return strings.TrimSpace(text)
}

// TestQuoting has a real GRUB split our words: what it holds then is what we
// were given.
func TestQuoting(t *testing.T) {
	values := append([]string{hostileTitle, "'", "''", `\`, `\'`, `a'b'c`, `"`, `$`, `$x`, ` `, "}'{"}, hostileArgs...)
	var script strings.Builder
	script.WriteString("function show {\n  for v in \"$@\"; do\n    echo \"<$v>\"\n  done\n}\n")
	var want []string
	for _, v := range values {
		script.WriteString("show " + quote(v) + " " + quote(v) + "\n")
		want = append(want, "<"+v+">", "<"+v+">")
	}
	got := runGRUB(t, script.String(), map[string]string{})
	if got != strings.Join(want, "\n") {
		t.Errorf("GRUB holds\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// printed turns a menu into a script that prints what GRUB would execute in
// each entry, by taking search, linux, initrd and menuentry for functions.
func printed(menu string) string {
	menu, entries, _ := strings.Cut(menu, functions)
	menu += regexp.MustCompile(`(?m)^(\s*)(gitboot_screen|insmod linux)$`).ReplaceAllString(entries, "")
	menu = strings.ReplaceAll(menu, "gitboot_failed", "true")
	menu = regexp.MustCompile(`(?m)^(\s*(?:if )?)(search|linux|initrd) `).ReplaceAllString(menu, "${1}show ")
	menu = regexp.MustCompile(`(?m)^(\s*)(menuentry|submenu) (.*) \{$`).ReplaceAllString(menu, "${1}show $3")
	menu = regexp.MustCompile(`(?m)^\s*\}$`).ReplaceAllString(menu, "")
	return "function show {\n  for v in \"$@\"; do\n    echo \"<$v>\"\n  done\n}\n" + menu
}

func TestEntriesInGRUB(t *testing.T) {
	got := runGRUB(t, printed(render(t, hostileMenu())), map[string]string{})
	m := hostileMenu()
	want := "<" + hostileTitle + " [trying]>"
	if !strings.HasPrefix(got, want) {
		t.Errorf("GRUB shows\n%s\nwant it to begin with\n%s", got, want)
	}
	want = "<" + m.Stage.Path + "/" + m.Images[0].Entries[0].Kernel + ">\n<" + strings.Join(hostileArgs, ">\n<") + ">\n"
	if !strings.Contains(got, want) {
		t.Errorf("GRUB shows\n%s\nwant in it\n%s", got, want)
	}
}

// TestChoiceInGRUB follows Debian's grub.cfg, which sets default and timeout
// before custom.cfg is sourced.
func TestChoiceInGRUB(t *testing.T) {
	zero := 0
	managed := testMenu(boot.ModeManaged)
	managed.Timeout = &zero
	const show = "\nsource $prefix/gitboot.cfg\necho \"$default\"\necho \"$timeout\"\necho \"$root\"\n"
	chosen := boot.OlderID("desktop") + ">" + managed.Default
	for name, c := range map[string]struct {
		menu         boot.Menu
		before, want string
	}{
		"menu":       {testMenu(boot.ModeMenu), "", "0\n30\nhost"},
		"managed":    {managed, "", chosen + "\n0\nhost"},
		"no timeout": {testMenu(boot.ModeManaged), "", chosen + "\n30\nhost"},
		"next_entry": {managed, "set default=other\nset boot_once=true\n", "other\n0\nhost"},
	} {
		before := "set default=0\nset timeout=30\nset root=host\n" + c.before
		got := runGRUB(t, before+show, map[string]string{"gitboot.cfg": render(t, c.menu)})
		if got != c.want {
			t.Errorf("%s: GRUB shows %q, want %q", name, got, c.want)
		}
	}
}

// TestPathsFromTop follows SUSE's grub.cfg, in which paths on btrfs are
// relative: they are not while our lines run, and are again afterwards.
func TestPathsFromTop(t *testing.T) {
	for before, want := range map[string]string{
		"":                              "[n]\n[]",
		"set btrfs_relative_path=yes":   "[n]\n[yes]",
		"set btrfs_relative_path='y y'": "[n]\n[y y]",
	} {
		const show = `echo "[$btrfs_relative_path]"`
		script := before + "\n" + strings.Join(fromTop([]string{show}), "\n") + "\n" + show + "\necho \"$gitboot_relative\"\n"
		if got := runGRUB(t, script, map[string]string{}); got != want {
			t.Errorf("after %q GRUB shows %q, want %q", before, got, want)
		}
	}
}

// TestScreenInGRUB calls our function as an entry does.
func TestScreenInGRUB(t *testing.T) {
	for before, want := range map[string]string{
		"":                        "[text]",
		"set linux_gfx_mode=":     "[text]",
		"set linux_gfx_mode=keep": "[keep]",
	} {
		script := "set gfxpayload=text\nset feature_all_video_module=n\n" + before + functions + "\ngitboot_screen\necho \"[$gfxpayload]\"\n"
		if got := runGRUB(t, script, map[string]string{}); got != want {
			t.Errorf("after %q GRUB shows %q, want %q", before, got, want)
		}
	}
}

// TestLostStageInGRUB checks that nothing but one line on the screen remains
// of a block whose stage is not there.
func TestLostStageInGRUB(t *testing.T) {
	got := runGRUB(t, "set default=0\nset root=host\nsource $prefix/custom.cfg\n"+
		`echo "$default $root [$gitboot_stage] [$gitboot_module]"`, map[string]string{"custom.cfg": partOf(ext4)})
	if want := "error: no such device: " + ext4.UUID + ".\n0 host [] []"; got != want {
		t.Errorf("GRUB shows %q, want %q", got, want)
	}
}
