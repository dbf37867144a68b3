package transport

import (
	"fmt"
	"strings"
)

// An AuthError says that the server knows us not, or lets us not read.
type AuthError struct {
	URL  string
	With string // what was shown: "token file /etc/…", "key file /etc/…", or "no token file"
	Err  error
}

func (e *AuthError) Error() string {
	return fmt.Sprintf("reading %s: access refused with %s: %v; name a file that is still valid and may read this repo", e.URL, e.With, e.Err)
}

func (e *AuthError) Unwrap() error { return e.Err }

// A HostKeyError says that an SSH server's key is not the known one.
type HostKeyError struct {
	Host, KnownHostsFile string
	Fingerprint          string // of the key that the server showed
	Line                 string // what known_hosts needs for that key
	Changed              bool   // the file has another key for this host
}

func (e *HostKeyError) Error() string {
	if e.Changed {
		return fmt.Sprintf("connecting to %s: its host key %s is not the one in %s: somebody may be listening in; if the host's owner confirms the new key, replace the host's lines by: %s",
			e.Host, e.Fingerprint, e.KnownHostsFile, e.Line)
	}
	return fmt.Sprintf("connecting to %s: its host key %s is not in %s; if the host's owner confirms it, add the line: %s",
		e.Host, e.Fingerprint, e.KnownHostsFile, e.Line)
}

// An UnreachableError says that the repo could not be read at all.
type UnreachableError struct {
	URL  string
	Path bool // it is a folder of this machine
	Err  error
}

func (e *UnreachableError) Error() string {
	if e.Path {
		return fmt.Sprintf("reading the config repo %s: %v; name the folder of a git repo, or a URL", e.URL, e.Err)
	}
	return fmt.Sprintf("reaching %s: %v; check the address and the network", e.URL, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// A NoGitServerError says that another kind of server answers at the address.
type NoGitServerError struct {
	URL  string
	Type string // the answer's media type
}

func (e *NoGitServerError) Error() string {
	if e.Type == "text/html" {
		return fmt.Sprintf("reaching %s: a web page answers there, not a git server; give the address that git clone takes", e.URL)
	}
	return fmt.Sprintf("reaching %s: the server there only hands out a repo's files (git's dumb protocol, %q), which is not supported; serve the repo with git http-backend or over ssh, or copy it with git clone --mirror and name that path",
		e.URL, e.Type)
}

// Printable keeps a server's or an author's words from steering a terminal.
func Printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�")))
}
