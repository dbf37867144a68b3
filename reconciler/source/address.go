package source

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// A protocol is how a config repo is read.
type protocol string

const (
	byPath  protocol = "a path"
	byHTTPS protocol = "https"
	bySSH   protocol = "ssh"
)

// An address says where a config repo is, as git reads the same text
// (parse_connect_url in its connect.c).
type address struct {
	by   protocol
	user string // for https and ssh; "" if the text names none
	host string // without brackets
	port string // "" = the transport's own
	path string // for a path: absolute; for ssh: as the server gets it
}

// hostPort is what to dial.
func (a address) hostPort(port string) string {
	if a.port != "" {
		port = a.port
	}
	return net.JoinHostPort(a.host, port)
}

// parseAddress reads the address of a config repo: a path, file://, https://,
// ssh:// or user@host:path. A password in it is never repeated.
func parseAddress(s string) (address, error) {
	scheme, rest, isURL := strings.Cut(s, "://")
	switch {
	case s == "":
		return address{}, fmt.Errorf("following a config repo: none is named; give its URL or path")
	case isURL && scheme == "file":
		return parseFileURL(s)
	case isURL && scheme == "https":
		return parseHTTPS(s)
	case isURL && scheme == "ssh":
		return parseSSHURL(s, rest)
	case isURL:
		return address{}, fmt.Errorf("following %s://…: %s is not supported, as it protects neither content nor identity; use https, ssh, file or a path", scheme, scheme)
	}
	if colon, slash := strings.IndexByte(s, ':'), strings.IndexByte(s, '/'); colon >= 0 && (slash < 0 || colon < slash) {
		return parseSCP(s)
	}
	abs, err := filepath.Abs(s)
	if err != nil {
		return address{}, fmt.Errorf("following %s: %w", s, err)
	}
	return address{by: byPath, path: abs}, nil
}

func parseFileURL(s string) (address, error) {
	u, err := parseURL(s)
	if err != nil {
		return address{}, err
	}
	if u.Host != "" && u.Host != "localhost" {
		return address{}, fmt.Errorf("following %s: a file URL names no host; write file:///path", s)
	}
	return address{by: byPath, path: filepath.Clean(u.Path)}, nil
}

func parseHTTPS(s string) (address, error) {
	u, err := parseURL(s)
	if err != nil {
		return address{}, err
	}
	if u.Host == "" {
		return address{}, fmt.Errorf("following %s: the URL names no host; write https://host/path", s)
	}
	return address{by: byHTTPS, user: u.User.Username(), host: u.Hostname(), port: u.Port(), path: u.Path}, nil
}

// parseURL refuses a URL that holds a password.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("following the config repo: its URL is not well-formed; write it as https://host/path")
	}
	if _, ok := u.User.Password(); ok {
		return nil, passwordError(u.Redacted())
	}
	return u, nil
}

func passwordError(redacted string) error {
	return fmt.Errorf("following %s: the URL holds a password, which would be shown in status and logs; put it into a file and name that with token_file in agent.toml", redacted)
}

// parseSSHURL splits by hand: a question mark or a number sign is part of a
// path for git.
func parseSSHURL(s, rest string) (address, error) {
	authority, path, _ := strings.Cut(rest, "/")
	user, host, ok := cutLast(authority, "@")
	if !ok {
		user, host = "", authority
	}
	if name, _, secret := strings.Cut(user, ":"); secret {
		return address{}, passwordError("ssh://" + name + ":xxxxx@" + host + "/" + path)
	}
	for _, part := range []*string{&user, &host, &path} {
		plain, err := url.PathUnescape(*part)
		if err != nil {
			return address{}, fmt.Errorf("following the config repo: its URL is not well-formed; write it as ssh://user@host/path")
		}
		*part = plain
	}
	a := address{by: bySSH, user: user, path: fromHome("/" + path)}
	a.host, a.port = host, ""
	if inside, after, ok := bracketed(host); ok {
		a.host, a.port = inside, strings.TrimPrefix(after, ":")
	} else if name, port, ok := cutLast(host, ":"); ok {
		a.host, a.port = name, port
	}
	return a, a.check(s)
}

// parseSCP reads user@host:path. A port can only stand in brackets, as in
// user@[host:port]:path.
func parseSCP(s string) (address, error) {
	if strings.Contains(s, "::") && !strings.Contains(s, "[") {
		return address{}, fmt.Errorf("following %s: git's helper programs are not used; use https, ssh, file or a path", s)
	}
	a := address{by: bySSH}
	start := s
	if i := strings.Index(s, "@["); i >= 0 {
		a.user, start = s[:i], s[i+1:]
	}
	inside, after, inBrackets := bracketed(start)
	if inBrackets {
		before, path, _ := strings.Cut(after, ":")
		a.host, a.path = inside+before, path
	} else {
		a.host, a.path, _ = strings.Cut(s, ":")
	}
	if user, host, ok := cutLast(a.host, "@"); ok {
		a.user, a.host = user, host
	}
	if name, port, ok := strings.Cut(a.host, ":"); ok && inBrackets && isPort(port) {
		a.host, a.port = name, port
	}
	a.path = fromHome(a.path)
	return a, a.check(s)
}

// bracketed splits "[inside]after".
func bracketed(s string) (inside, after string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return "", s, false
	}
	return strings.Cut(s[1:], "]")
}

// fromHome leaves it to the server to expand /~/x and /~user/x.
func fromHome(path string) string {
	if strings.HasPrefix(path, "/~") {
		return path[1:]
	}
	return path
}

func (a address) check(s string) error {
	switch {
	case a.host == "" || a.path == "" || a.path == "/":
		return fmt.Errorf("following %s: the URL names no host or no path; write ssh://user@host/path", s)
	case strings.HasPrefix(a.host, "-") || strings.HasPrefix(a.path, "-") || strings.HasPrefix(a.user, "-"):
		return fmt.Errorf("following %s: a host, user or path that begins with - is taken for an option by a server", s)
	case a.port != "" && !isPort(a.port):
		return fmt.Errorf("following %s: %q is no port; write ssh://user@host:port/path", s, a.port)
	}
	return nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// CheckAddress says what is wrong with the address of a config repo that is to
// mean the same wherever it is read from.
func CheckAddress(s string) error {
	at, err := parseAddress(s)
	if err == nil && at.by == byPath && !strings.Contains(s, "://") && !filepath.IsAbs(s) {
		return fmt.Errorf("is a relative path, which means another folder wherever gitboot is started; write it from /")
	}
	return err
}
