// Package gpg runs GnuPG for tests, in homes of their own.
package gpg

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

// A Home is a folder of GnuPG's.
type Home struct {
	t   testing.TB
	dir string
	// At is the time that gpg believes it is, as 20260102T030405; "" for now.
	At string
}

// New makes an empty home. What gpg starts there ends with the test.
func New(t testing.TB) *Home {
	t.Helper()
	need.Program(t, "gpg")
	// the agent's socket has to have a short path
	dir, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	h := &Home{t: t, dir: dir}
	t.Cleanup(func() {
		h.command("gpgconf", "--kill", "all").Run()
		os.RemoveAll(dir)
	})
	return h
}

func (h *Home) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GNUPGHOME=" + h.dir, "LC_ALL=C"}
	return cmd
}

func (h *Home) args() []string {
	args := []string{"--batch", "--quiet", "--no-tty", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", "--trust-model", "always"}
	if h.At != "" {
		args = append(args, "--faked-system-time", h.At+"!")
	}
	return args
}

// Run runs gpg, and returns what it prints.
func (h *Home) Run(stdin string, args ...string) []byte {
	h.t.Helper()
	cmd := h.command("gpg", append(h.args(), args...)...)
	var words bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &words
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("gpg %s: %v\n%s", strings.Join(args, " "), err, &words)
	}
	return out
}

// Key makes a key that signs, and returns its fingerprint.
func (h *Home) Key(user, kind, expires string) string {
	h.t.Helper()
	h.Run("", "--quick-gen-key", user, kind, "sign", expires)
	return h.fingerprints(user)[0]
}

// Subkey adds a subkey that signs, and returns its fingerprint.
func (h *Home) Subkey(key, kind, expires string) string {
	h.t.Helper()
	h.Run("", "--quick-add-key", key, kind, "sign", expires)
	all := h.fingerprints(key)
	return all[len(all)-1]
}

func (h *Home) fingerprints(of string) (all []string) {
	for line := range strings.Lines(string(h.Run("", "--with-colons", "--list-keys", of))) {
		if words := strings.Split(line, ":"); words[0] == "fpr" {
			all = append(all, words[9])
		}
	}
	return all
}

// Revoke makes the key known as revoked.
func (h *Home) Revoke(key string) {
	h.t.Helper()
	data, err := os.ReadFile(filepath.Join(h.dir, "openpgp-revocs.d", key+".rev"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.Run(strings.Replace(string(data), ":-----BEGIN", "-----BEGIN", 1), "--import")
}

// Program is one that git can run as gpg.
func (h *Home) Program() string {
	h.t.Helper()
	path := filepath.Join(h.dir, "gpg.sh")
	script := fmt.Sprintf("#!/bin/sh\nGNUPGHOME=%s exec gpg %s '' --trust-model always \"$@\"\n", h.dir, "--batch --no-tty --pinentry-mode loopback --passphrase")
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		h.t.Fatal(err)
	}
	return path
}
