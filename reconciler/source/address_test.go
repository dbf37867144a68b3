package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sshOf is what git runs ssh with for an address: its port, destination and
// the path that the server is asked for.
func sshOf(t *testing.T, addr string) (address, bool) {
	t.Helper()
	dir := t.TempDir()
	said, script := filepath.Join(dir, "said"), filepath.Join(dir, "ssh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >"+said+"\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "ls-remote", addr)
	cmd.Dir, cmd.Env = dir, append(gitEnv(), "GIT_SSH_COMMAND="+script, "GIT_SSH_VARIANT=ssh", "GIT_PROTOCOL_FROM_USER=1")
	cmd.Run() // the script always fails
	data, err := os.ReadFile(said)
	if err != nil {
		return address{}, false
	}
	a := address{by: bySSH}
	words := strings.Split(strings.TrimSpace(string(data)), "\n")
	for len(words) > 2 {
		if words[0] == "-p" {
			a.port = words[1]
		}
		words = words[2:] // -o OPTION, -p PORT
	}
	var ok bool
	if a.user, a.host, ok = cutLast(words[0], "@"); !ok {
		a.user, a.host = "", words[0]
	}
	a.path = strings.Trim(strings.TrimPrefix(words[1], "git-upload-pack "), "'")
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
		got, err := parseAddress(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		want, isSSH := sshOf(t, s)
		if isSSH != (got.by == bySSH) {
			t.Errorf("%s: read as %s, git uses ssh: %v", s, got.by, isSSH)
		} else if isSSH && got != want {
			t.Errorf("%s: %+v, git has %+v", s, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for s, want := range map[string]address{
		"https://example.org/a/b.git":        {by: byHTTPS, host: "example.org", path: "/a/b.git"},
		"https://ada@[::1]:8443/b.git":       {by: byHTTPS, user: "ada", host: "::1", port: "8443", path: "/b.git"},
		"file:///srv/a%20b/":                 {by: byPath, path: "/srv/a b"},
		"file://localhost/srv/x":             {by: byPath, path: "/srv/x"},
		"/srv//fleet/":                       {by: byPath, path: "/srv/fleet"},
		"ssh://git@example.org/~/repo.git":   {by: bySSH, user: "git", host: "example.org", path: "~/repo.git"},
		"git@[::1]:fleet.git":                {by: bySSH, user: "git", host: "::1", path: "fleet.git"},
		"git@example.org:2299:fleet.git":     {by: bySSH, user: "git", host: "example.org", path: "2299:fleet.git"},
		"ssh://git@[::1]:2299/srv/fleet.git": {by: bySSH, user: "git", host: "::1", port: "2299", path: "/srv/fleet.git"},
	} {
		if got, err := parseAddress(s); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", s, got, err, want)
		}
	}
	if got := (address{host: "::1"}).hostPort("22"); got != "[::1]:22" {
		t.Errorf("dialling ::1 at %s", got)
	}
}

func TestRefusedAddresses(t *testing.T) {
	for _, s := range []string{"", ":x", "http://example.org/x", "git://example.org/x", "ext::sh -c id", "https://user:secret@example.org/x", "https:///x",
		"ssh://git:secret@example.org/x", "file://host/x", "ssh://git@example.org", "ssh://git@example.org/", "ssh:///x", "git@example.org:",
		"ssh://-oProxyCommand=id/x", "-oProxyCommand=id:x", "git@example.org:-x", "ssh://example.org:0/x", "ssh://example.org:99999/x", "ssh://example.org:ssh/x", "ssh://example.org/%zz"} {
		if a, err := parseAddress(s); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %+v, %v", s, a, err)
		}
	}
}
