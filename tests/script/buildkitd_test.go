package script

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gitboot/gitboot/tests/lab"
)

// cmdBuildkitd starts a BuildKit daemon that ends with the script, names it in
// agent.toml, and lays the program that speaks to it beside gitboot.
func cmdBuildkitd(ts *testscript.TestScript, args []string) (err error) {
	if len(args) > 0 {
		return errors.New("usage: buildkitd")
	}
	gitboot, err := lookPath(ts, "gitboot")
	if err != nil {
		return err
	}
	ctx := context.Background()
	if _, err := lab.Program(ctx, filepath.Dir(gitboot), "gitboot-buildkit"); err != nil {
		return err
	}
	dir := ts.MkAbs("buildkitd")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	address := "unix://" + filepath.Join(dir, "sock")
	daemon, err := lab.StartBuildkitd(ctx, dir, []string{address})
	if err != nil {
		return err
	}
	ts.Defer(func() { ts.Check(daemon.Stop()) })
	settings, err := os.OpenFile(ts.MkAbs(ts.Getenv("CONFIG")), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, settings.Close()) }()
	_, err = fmt.Fprintf(settings, "\n[buildkit]\naddress = %q\n", address)
	return err
}

// lookPath finds a program as the script does.
func lookPath(ts *testscript.TestScript, name string) (string, error) {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not in %s", name, strings.ReplaceAll(ts.Getenv("PATH"), ":", " "))
}
