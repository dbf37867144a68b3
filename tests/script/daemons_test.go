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

// cmdBuildkitd starts a BuildKit daemon that ends with the script, and names it
// in agent.toml.
func cmdBuildkitd(ts *testscript.TestScript, args []string) error {
	if len(args) > 0 {
		return errors.New("usage: buildkitd")
	}
	return runDaemon(ts, "buildkit", func(dir, socket string) (*lab.Daemon, error) {
		return lab.StartBuildkitd(context.Background(), dir, []string{"unix://" + socket})
	})
}

// cmdDockerd does the same with docker's daemon.
func cmdDockerd(ts *testscript.TestScript, args []string) error {
	if len(args) > 0 {
		return errors.New("usage: dockerd")
	}
	return runDaemon(ts, "docker", lab.StartDockerd)
}

// runDaemon names a daemon in that section of agent.toml, and lays the program
// that speaks to it beside gitboot.
func runDaemon(ts *testscript.TestScript, section string, start func(dir, socket string) (*lab.Daemon, error)) (err error) {
	gitboot, err := lookPath(ts, "gitboot")
	if err != nil {
		return err
	}
	if _, err := lab.Program(context.Background(), filepath.Dir(gitboot), "gitboot-buildkit"); err != nil {
		return err
	}
	dir := ts.MkAbs(section)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	socket := filepath.Join(dir, "sock")
	daemon, err := start(dir, socket)
	if err != nil {
		return err
	}
	ts.Defer(func() { ts.Check(daemon.Stop()) })
	settings, err := os.OpenFile(ts.MkAbs(ts.Getenv("CONFIG")), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, settings.Close()) }()
	_, err = fmt.Fprintf(settings, "\n[%s]\naddress = %q\n", section, "unix://"+socket)
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
