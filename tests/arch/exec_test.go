package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// execSites are all places where another program is started, and what of the
// caller, of a config repo or of an image may reach it.
var execSites = map[string]string{
	"internal/program Command":             "the one way: fixed PATH, no variable of the caller's; what follows says what each adds",
	"boot/place blkidUUID":                 "blkid: a device's name, from the kernel",
	"reconciler/doctor version":            "--version, of programs that are used here",
	"internal/presence Look":               "who, without arguments",
	"internal/presence manager.call":       "busctl: names of systemd's own, and of its sessions",
	"reconciler/doctor checkService":       "systemctl: names of gitboot's own units",
	"boot/secureboot Folder.sign":          "sign-efi-sig-list: files of a key and a certificate that somebody named, temporary files",
	"boot/grub grubReads":                  "grub-fstest: a device's name, from the kernel",
	"image/internal/credentials askHelper": "a credential helper: its name from the credentials' file, a registry's name on its input; variables of helperVariables",
	"agent/notify run":                     "agent.toml's command: an event on its input; busctl, as a user: an event's words",
	"build/engine/process Command.Run":     "engines, gitboot-buildkit and bootstrap commands: the config repo's build, for which its authors are trusted; proxies",
	"qemu run":                             "QEMU, in its sandbox: a deployment's kernel, initramfs and kernel arguments, disks, files of firmware; with --window what a desktop's session is found by",
	"qemu output":                          "mke2fs, debugfs and e2fsck: a disk; paths, each one quoted word",
	"disk/tool Run":                        "mke2fs, debugfs, mkfs.xfs, xfs_db, mkfs.vfat, mtools, grub-mkimage and qemu-img: a disk that is made, paths of files, each one quoted word, what is declared of partitions",
	"disk/tool RunAsRoot":                  "mkfs.btrfs, in a user namespace: a folder that was made for it, what is declared of partitions",
	"stage/squash startSquash":             "tar2sqfs: a layer's rewritten tar on its input",
	"cmd/gitboot/internal/browse open":     "xdg-open: a file of the user's own runtime folder; what a desktop's session is found by",
	"hooks/confine startWarden":            "sh and mount: nothing",
	"reconciler/source/quarantine start":   "gitboot itself, confined: a pack on its input, its tip's name, no variables",
	"secret/worktree runEditor":            "the editor of who runs gitboot secret edit, as that user, with all of that user's variables",
	"hooks run.start":                      "the config repo's script, confined (hooks/confine), with the variables that package hooks documents",
	"initramfs/early/child Program.Run":    "the config repo's at-boot scripts and health checks, systemctl, sv, rc-service and getent, all the image's, in its root",
	"initramfs/early/watcher Start":        "gitboot-init itself, under another name",
	"initramfs/early console":              "a shell on the console, for who sits there",
	"initramfs/early recovery.run":         "the initramfs's busybox: nothing",
	"initramfs/early recovery.keepRunning": "gitboot-rescue: nothing",
	"rescue Server.session":                "a shell, of the recovery entry, for admins that have logged in: what they ask for",
	"initramfs/early boot.enter":           "the image's init",
}

// foreignExec are the packages of others, linked into what is shipped, that can
// start programs.
var foreignExec = map[string]string{
	"github.com/docker/docker-credential-helpers/client":          "not reached: package image/registry reads credentials itself",
	"github.com/docker/cli/cli/config/credentials":                "not reached, likewise",
	"github.com/containerd/containerd/v2/pkg/archive/compression": "igzip or unpigz, in gitboot-buildkit alone, which gets a fixed PATH",
	"github.com/creack/pty":                                       "what it is handed, in gitboot-rescue alone",
	"github.com/in-toto/in-toto-golang/in_toto":                   "not reached, in gitboot-buildkit alone: its types are used",
	"github.com/moby/buildkit/util/gitutil":                       "not reached, in gitboot-buildkit alone: nothing is built from git",
}

// starts are the functions that start a program, by package.
var starts = map[string][]string{
	"exec":    {"Command", "CommandContext"},
	"program": {"Command"},
	"os":      {"StartProcess"},
	"syscall": {"Exec", "ForkExec", "StartProcess"},
	"unix":    {"Exec"},
}

// Every place that starts a program is known, and says what it lets through.
func TestEveryExecSiteIsKnown(t *testing.T) {
	found := map[string]bool{}
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{"tests", "testdata", ".git", "examples"}, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel("../..", filepath.Dir(file))
		for _, decl := range tree.Decls {
			starts, env := inspectExec(decl)
			if !starts {
				continue
			}
			site := folder + " " + funcName(decl)
			found[site] = true
			if !env {
				t.Errorf("%s: starts a program with all variables of the caller's: use internal/program, or set Env", site)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, site := range slices.Sorted(maps.Keys(found)) {
		if execSites[site] == "" {
			t.Errorf("%s: starts a program, and is not listed here with what may reach it", site)
		}
	}
	for site := range execSites {
		if !found[site] {
			t.Errorf("%s: is listed here and starts nothing", site)
		}
	}
}

// inspectExec reports whether a declaration begins a program, and whether the
// program's variables are chosen.
func inspectExec(decl ast.Decl) (begins, env bool) {
	ast.Inspect(decl, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			from, name := selected(n.Type)
			begins = begins || from == "exec" && name == "Cmd"
		case *ast.KeyValueExpr:
			key, ok := n.Key.(*ast.Ident)
			env = env || ok && key.Name == "Env"
		case *ast.SelectorExpr:
			from, name := selected(n)
			env = env || name == "Env"
			if slices.Contains(starts[from], name) {
				begins = true
				env = env || from != "exec" // others take them as an argument
			}
		}
		return true
	})
	return begins, env
}

// selected splits x.name.
func selected(e ast.Expr) (x, name string) {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	if from, ok := s.X.(*ast.Ident); ok {
		x = from.Name
	}
	return x, s.Sel.Name
}

func funcName(decl ast.Decl) string {
	f, ok := decl.(*ast.FuncDecl)
	if !ok {
		return "declaration"
	}
	if f.Recv == nil {
		return f.Name.Name
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	return typ.(*ast.Ident).Name + "." + f.Name.Name
}

// What others wrote starts no program that is not known.
func TestForeignExecIsKnown(t *testing.T) {
	found := map[string]bool{}
	for _, p := range list(t, "-deps", "./cmd/...") {
		host, _, _ := strings.Cut(p.path, "/")
		ours := strings.HasPrefix(p.path, "github.com/gitboot/gitboot/")
		if !ours && strings.Contains(host, ".") && slices.Contains(p.imports, "os/exec") {
			found[p.path] = true
		}
	}
	if known := slices.Sorted(maps.Keys(foreignExec)); !slices.Equal(known, slices.Sorted(maps.Keys(found))) {
		t.Errorf("these can start programs: %q; these are listed here with why that is harmless: %q", slices.Sorted(maps.Keys(found)), known)
	}
}
