package transport

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// A Protocol is how a config repo is read.
type Protocol string

const (
	ByPath  Protocol = "a path"
	ByHTTPS Protocol = "https"
	BySSH   Protocol = "ssh"
)

// An address says where a config repo is, as git reads the same text
// (parse_connect_url in its connect.c).
type Address struct {
	By   Protocol
	User string // for https and ssh; "" if the text names none
	Host string // without brackets
	Port string // "" = the transport's own
	Path string // for a Path: absolute; for ssh: as the server gets it
}

// hostPort is what to dial.
func (a Address) hostPort(port string) string {
	if a.Port != "" {
		port = a.Port
	}
	return net.JoinHostPort(a.Host, port)
}

// ParseAddress reads the address of a config repo: a path, file://, https://,
// ssh:// or user@host:path. A password in it is never repeated.
func ParseAddress(s string) (Address, error) {
	scheme, rest, isURL := strings.Cut(s, "://")
	switch {
	case s == "":
		return Address{}, fmt.Errorf("following a config repo: none is named; give its URL or path")
	case isURL && scheme == "file":
		return parseFileURL(s)
	case isURL && scheme == "https":
		return parseHTTPS(s)
	case isURL && scheme == "ssh":
		return parseSSHURL(s, rest)
	case isURL:
		return Address{}, fmt.Errorf("following %s://…: %s is not supported, as it protects neither content nor identity; use https, ssh, file or a path", scheme, scheme)
	}
	if colon, slash := strings.IndexByte(s, ':'), strings.IndexByte(s, '/'); colon >= 0 && (slash < 0 || colon < slash) {
		return parseSCP(s)
	}
	abs, err := filepath.Abs(s)
	if err != nil {
		return Address{}, fmt.Errorf("following %s: %w", s, err)
	}
	return Address{By: ByPath, Path: abs}, nil
}

func parseFileURL(s string) (Address, error) {
	u, err := parseURL(s)
	if err != nil {
		return Address{}, err
	}
	if u.Host != "" && u.Host != "localhost" {
		return Address{}, fmt.Errorf("following %s: a file URL names no host; write file:///path", s)
	}
	return Address{By: ByPath, Path: filepath.Clean(u.Path)}, nil
}

func parseHTTPS(s string) (Address, error) {
	u, err := parseURL(s)
	if err != nil {
		return Address{}, err
	}
	if u.Host == "" {
		return Address{}, fmt.Errorf("following %s: the URL names no host; write https://host/path", s)
	}
	return Address{By: ByHTTPS, User: u.User.Username(), Host: u.Hostname(), Port: u.Port(), Path: u.Path}, nil
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
func parseSSHURL(s, rest string) (Address, error) {
	authority, path, _ := strings.Cut(rest, "/")
	user, host, ok := cutLast(authority, "@")
	if !ok {
		user, host = "", authority
	}
	if name, _, secret := strings.Cut(user, ":"); secret {
		return Address{}, passwordError("ssh://" + name + ":xxxxx@" + host + "/" + path)
	}
	for _, part := range []*string{&user, &host, &path} {
		plain, err := url.PathUnescape(*part)
		if err != nil {
			return Address{}, fmt.Errorf("following the config repo: its URL is not well-formed; write it as ssh://user@host/path")
		}
		*part = plain
	}
	a := Address{By: BySSH, User: user, Path: fromHome("/" + path)}
	a.Host, a.Port = host, ""
	if inside, after, ok := bracketed(host); ok {
		a.Host, a.Port = inside, strings.TrimPrefix(after, ":")
	} else if name, port, ok := cutLast(host, ":"); ok {
		a.Host, a.Port = name, port
	}
	return a, a.check(s)
}

// parseSCP reads user@host:path. A port can only stand in brackets, as in
// user@[host:port]:path.
func parseSCP(s string) (Address, error) {
	if strings.Contains(s, "::") && !strings.Contains(s, "[") {
		return Address{}, fmt.Errorf("following %s: git's helper programs are not used; use https, ssh, file or a path", s)
	}
	a := Address{By: BySSH}
	start := s
	if i := strings.Index(s, "@["); i >= 0 {
		a.User, start = s[:i], s[i+1:]
	}
	inside, after, inBrackets := bracketed(start)
	if inBrackets {
		before, path, _ := strings.Cut(after, ":")
		a.Host, a.Path = inside+before, path
	} else {
		a.Host, a.Path, _ = strings.Cut(s, ":")
	}
	if user, host, ok := cutLast(a.Host, "@"); ok {
		a.User, a.Host = user, host
	}
	if name, port, ok := strings.Cut(a.Host, ":"); ok && inBrackets && isPort(port) {
		a.Host, a.Port = name, port
	}
	a.Path = fromHome(a.Path)
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

func (a Address) check(s string) error {
	switch {
	case a.Host == "" || a.Path == "" || a.Path == "/":
		return fmt.Errorf("following %s: the URL names no host or no path; write ssh://user@host/path", s)
	case strings.HasPrefix(a.Host, "-") || strings.HasPrefix(a.Path, "-") || strings.HasPrefix(a.User, "-"):
		return fmt.Errorf("following %s: a host, user or path that begins with - is taken for an option by a server", s)
	case a.Port != "" && !isPort(a.Port):
		return fmt.Errorf("following %s: %q is no port; write ssh://user@host:port/path", s, a.Port)
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
	at, err := ParseAddress(s)
	if err == nil && at.By == ByPath && !strings.Contains(s, "://") && !filepath.IsAbs(s) {
		return fmt.Errorf("is a relative path, which means another folder wherever gitboot is started; write it from /")
	}
	return err
}
