package script

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

var update = flag.Bool("update", false, "write what the program prints into the scripts that compare it")

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

func TestScripts(t *testing.T) {
	bin := t.TempDir()
	program, err := lab.Build(t.Context(), bin, "docs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(program, filepath.Join(bin, "gitboot-docs")); err != nil {
		t.Fatal(err)
	}
	runScripts(t, "testdata", bin)
}

func TestRootScripts(t *testing.T) {
	need.Root(t)
	runScripts(t, "testdata/root", t.TempDir())
}

// runScripts runs a folder's scripts with the programs, which it puts into bin.
func runScripts(t *testing.T, dir, bin string) {
	t.Helper()
	need.Program(t, "tar2sqfs")
	if _, err := lab.Build(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	source, err := lab.SourceDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                dir,
		Cmds:               commands(),
		RequireUniqueNames: true,
		UpdateScripts:      *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("SOURCE", source)
			env.Setenv("PATH", bin+":"+env.Getenv("PATH"))
			return setup(env)
		},
	})
}

type registryKey struct{}

func setup(env *testscript.Env) error {
	registry := newRegistry()
	env.Defer(registry.stop)
	env.Values[registryKey{}] = registry
	held, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	env.Defer(func() { held.Close() })
	env.Values[lockKey{}] = held
	env.Values[seenKey{}] = map[string]bool{}
	for name, value := range map[string]string{
		"REGISTRY": registry.addr(), "CONFIG": "agent.toml",
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.DevNull,
		"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com", "GIT_AUTHOR_DATE": "2026-01-01T12:00:00Z",
		"GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.com", "GIT_COMMITTER_DATE": "2026-01-01T12:00:00Z",
	} {
		env.Setenv(name, value)
	}
	return writeSurroundings(env.WorkDir)
}

func writeSurroundings(dir string) error {
	for name, content := range map[string]string{
		"grub/grub.cfg": "",
		"agent.toml": "repo = \"" + dir + "/repo\"\nmachine = \"laptop\"\nstage = \"" + dir + "/stage\"\n" +
			"boot = \"" + dir + "/grub\"\nstage_location = \"UUID=1111-2222:/gitboot\"\n" +
			"socket = \"" + dir + "/control.sock\"\nregistry_attempts = 2\nregistry_timeout = \"2s\"\n",
	} {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	_, err := lab.NewRepo(context.Background(), filepath.Join(dir, "repo"))
	return err
}
