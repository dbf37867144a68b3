package script

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// runDaemon names a daemon in that section of agent.toml, and the program that
// speaks to it, which other scripts do not find.
func runDaemon(ts *testscript.TestScript, section string, start func(dir, socket string) (*lab.Daemon, error)) (err error) {
	dir := ts.MkAbs(section)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	speaker, err := lab.Program(context.Background(), dir, "gitboot-buildkit")
	if err != nil {
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
	text := fmt.Sprintf("\n[buildkit]\nprogram = %q\n", speaker)
	if section != "buildkit" {
		text += "\n[" + section + "]\n"
	}
	_, err = fmt.Fprintf(settings, "%saddress = %q\n", text, "unix://"+socket)
	return err
}

// cmdDistribution starts docker's own registry, which one user may enter and who ends with
// the script: distribution USER PASSWORD. $DISTRIBUTION is its address.
func cmdDistribution(ts *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: distribution USER PASSWORD")
	}
	dir := ts.MkAbs("distribution")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	addr, stop, err := lab.StartDistribution(context.Background(), dir, lab.DistributionOptions{User: args[0], Password: args[1]})
	if err != nil {
		return err
	}
	ts.Defer(func() { ts.Check(stop()) })
	ts.Setenv("DISTRIBUTION", addr)
	return nil
}

// cmdSSHD starts an OpenSSH server that ends with the script. $SSHD is its address,
// $HOSTKEY the fingerprint of its key; who is in the file authorized may log in.
func cmdSSHD(ts *testscript.TestScript, args []string) error {
	if len(args) > 0 {
		return errors.New("usage: sshd")
	}
	dir := ts.MkAbs("sshd")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	key := filepath.Join(dir, "host_key")
	if _, err := lab.Run(context.Background(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key); err != nil {
		return err
	}
	out, err := lab.Run(context.Background(), "ssh-keygen", "-l", "-f", key)
	if err != nil {
		return err
	}
	server, err := lab.StartSSHServer(dir, key, ts.MkAbs("authorized"))
	if err != nil {
		return err
	}
	ts.Defer(func() { ts.Check(server.Close()) })
	ts.Setenv("SSHD", server.Addr)
	ts.Setenv("HOSTKEY", strings.Fields(out)[1])
	return nil
}
