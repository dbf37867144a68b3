package transport

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sshOf is what git runs ssh with for an address: its port, destination and
// the path that the server is asked for.
func sshOf(t *testing.T, addr string) (Address, bool) {
	t.Helper()
	dir := t.TempDir()
	said, script := filepath.Join(dir, "said"), filepath.Join(dir, "ssh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >"+said+"\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "ls-remote", addr)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"}, "GIT_SSH_COMMAND="+script, "GIT_SSH_VARIANT=ssh", "GIT_PROTOCOL_FROM_USER=1")
	cmd.Run() // the script always fails
	data, err := os.ReadFile(said)
	if err != nil {
		return Address{}, false
	}
	a := Address{By: BySSH}
	words := strings.Split(strings.TrimSpace(string(data)), "\n")
	for len(words) > 2 {
		if words[0] == "-p" {
			a.Port = words[1]
		}
		words = words[2:] // -o OPTION, -p PORT
	}
	var ok bool
	if a.User, a.Host, ok = cutLast(words[0], "@"); !ok {
		a.User, a.Host = "", words[0]
	}
	a.Path = strings.Trim(strings.TrimPrefix(words[1], "git-upload-pack "), "'")
	return a, true
}

// TestAddressesAsGit has git itself say what each address means.
func TestAddressesAsGit(t *testing.T) {
	for _, s := range []string{
		"git@example.org:fleet.git", "example.org:fleet.git", "git@example.org:/srv/fleet.git", "git@example.org:~/fleet.git",
		"git@example.org:/~/fleet.git", "git@example.org:~ada/fleet.git", "git@example.org:2299:fleet.git", "git@example.org:2299/fleet.git",
		"git@[::1]:fleet.git", "[::1]:fleet.git", "git@[fe80::1%eth0]:fleet.git", "git@[example.org:2299]:fleet.git", "[git@example.org:2299]:fleet.git",
		"git@[example.org]:fleet.git", "ada@work@example.org:fleet.git", "git@example.org:a:b", "git@example.org:a b/c?d#e%20f",
		"ssh://example.org/fleet.git", "ssh://git@example.org/srv/fleet.git", "ssh://git@example.org:2299/fleet.git", "ssh://git@example.org:/fleet.git",
		"ssh://git@example.org/~/repo.git", "ssh://git@example.org/~ada/repo.git", "ssh://git@example.org/a/~b", "ssh://git@[::1]/fleet.git",
		"ssh://git@[::1]:2299/fleet.git", "ssh://[::1]:2299/~/fleet.git", "ssh://git@[fe80::1%25eth0]:2299/fleet.git",
		"ssh://git@example.org/a%20b", "ssh://git@example.org/a?b#c", "ssh://git@example.org//srv/fleet.git", "ssh://ada%40work@example.org/x",
		"./a:b", "/a:b", "a/b:c", "fleet", "~/fleet", "file:///a/b:c",
	} {
		got, err := ParseAddress(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		want, isSSH := sshOf(t, s)
		if isSSH != (got.By == BySSH) {
			t.Errorf("%s: read as %s, git uses ssh: %v", s, got.By, isSSH)
		} else if isSSH && got != want {
			t.Errorf("%s: %+v, git has %+v", s, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for s, want := range map[string]Address{
		"https://example.org/a/b.git":        {By: ByHTTPS, Host: "example.org", Path: "/a/b.git"},
		"https://ada@[::1]:8443/b.git":       {By: ByHTTPS, User: "ada", Host: "::1", Port: "8443", Path: "/b.git"},
		"file:///srv/a%20b/":                 {By: ByPath, Path: "/srv/a b"},
		"file://localhost/srv/x":             {By: ByPath, Path: "/srv/x"},
		"/srv//fleet/":                       {By: ByPath, Path: "/srv/fleet"},
		"ssh://git@example.org/~/repo.git":   {By: BySSH, User: "git", Host: "example.org", Path: "~/repo.git"},
		"git@[::1]:fleet.git":                {By: BySSH, User: "git", Host: "::1", Path: "fleet.git"},
		"git@example.org:2299:fleet.git":     {By: BySSH, User: "git", Host: "example.org", Path: "2299:fleet.git"},
		"ssh://git@[::1]:2299/srv/fleet.git": {By: BySSH, User: "git", Host: "::1", Port: "2299", Path: "/srv/fleet.git"},
	} {
		if got, err := ParseAddress(s); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", s, got, err, want)
		}
	}
	if got := (Address{Host: "::1"}).hostPort("22"); got != "[::1]:22" {
		t.Errorf("dialling ::1 at %s", got)
	}
}

func TestRefusedAddresses(t *testing.T) {
	for _, s := range []string{"", ":x", "http://example.org/x", "git://example.org/x", "ext::sh -c id", "https://user:secret@example.org/x", "https:///x",
		"ssh://git:secret@example.org/x", "file://host/x", "ssh://git@example.org", "ssh://git@example.org/", "ssh:///x", "git@example.org:",
		"ssh://-oProxyCommand=id/x", "-oProxyCommand=id:x", "git@example.org:-x", "ssh://example.org:0/x", "ssh://example.org:99999/x", "ssh://example.org:ssh/x", "ssh://example.org/%zz"} {
		if a, err := ParseAddress(s); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %+v, %v", s, a, err)
		}
	}
}
