package trust

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// sigNamespace is what git signs for: a signature made for a file or an
// e-mail with the same key is none of a commit.
const sigNamespace = "git"

// A signer is one line of an allowed_signers file (ssh-keygen(1), ALLOWED
// SIGNERS). Its principals are not looked at: whoever is listed may sign.
type signer struct {
	key           ssh.PublicKey
	after, before time.Time // zero = no limit
}

// readSigners reads the lines of an allowed_signers file, from the n-th on.
func readSigners(lines []string, n int, file string) (keys []signer, err error) {
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, forGit, err := parseSigner(line)
		if err != nil {
			return nil, fmt.Errorf("reading the trusted keys %s:%d: %w; a line is: PRINCIPAL [OPTIONS] KEYTYPE KEY", file, n+i, err)
		}
		if forGit {
			keys = append(keys, s)
		}
	}
	return keys, nil
}

// parseSigner reads one line; forGit is false if its key is for other
// namespaces. After the principals the line is one of authorized_keys.
func parseSigner(line string) (s signer, forGit bool, err error) {
	rest := cutPrincipals(line)
	key, _, options, after, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil {
		return s, false, err
	}
	if len(bytes.TrimSpace(after)) > 0 {
		return s, false, errors.New("more than one key in a line")
	}
	s.key, forGit = key, true
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(name) {
		case "namespaces":
			if forGit, err = matchesAny(value, sigNamespace); err != nil {
				return s, false, err
			}
		case "valid-after":
			s.after, err = parseSignerTime(value)
		case "valid-before":
			s.before, err = parseSignerTime(value)
		default:
			err = fmt.Errorf("the option %q is not supported", name)
		}
		if err != nil {
			return s, false, err
		}
	}
	return s, forGit, nil
}

// cutPrincipals takes off the first field, which may be quoted.
func cutPrincipals(line string) string {
	quoted := false
	for i, r := range line {
		switch {
		case r == '"':
			quoted = !quoted
		case !quoted && (r == ' ' || r == '\t'):
			return strings.TrimSpace(line[i:])
		}
	}
	return ""
}

// matchesAny matches a comma-separated list of patterns, of which those with
// a leading ! exclude.
func matchesAny(patterns, s string) (bool, error) {
	found := false
	for p := range strings.SplitSeq(patterns, ",") {
		p, not := strings.CutPrefix(strings.TrimSpace(p), "!")
		ok, err := path.Match(p, s)
		if err != nil {
			return false, fmt.Errorf("the pattern %q: %w", p, err)
		}
		if ok && not {
			return false, nil
		}
		found = found || ok
	}
	return found, nil
}

// parseSignerTime reads YYYYMMDD[HHMM[SS]], in UTC with a Z at the end, else
// in local time.
func parseSignerTime(s string) (time.Time, error) {
	digits, utc := strings.CutSuffix(strings.ToUpper(s), "Z")
	zone := time.Local
	if utc {
		zone = time.UTC
	}
	const layout = "20060102150405"
	if n := len(digits); n != 8 && n != 12 && n != 14 {
		return time.Time{}, fmt.Errorf("the time %q is not YYYYMMDD[HHMM[SS]][Z]", s)
	}
	t, err := time.ParseInLocation(layout[:len(digits)], digits, zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time %q is not YYYYMMDD[HHMM[SS]][Z]", s)
	}
	return t, nil
}

// validAt reports whether the key might sign at a time. The first second of
// 1970 stands for a time that nobody set, which is within no limits.
func (s signer) validAt(at time.Time) bool {
	if s.after.IsZero() && s.before.IsZero() {
		return true
	}
	return at.Unix() > 0 && !at.Before(s.after) && (s.before.IsZero() || at.Before(s.before))
}

// findSigner looks for a key that might sign at the commit's time.
func findSigner(keys []signer, key ssh.PublicKey, at time.Time) error {
	listed := false
	for _, s := range keys {
		if !bytes.Equal(s.key.Marshal(), key.Marshal()) {
			continue
		}
		listed = true
		if s.validAt(at) {
			return nil
		}
	}
	if listed {
		return fmt.Errorf("its key %s was not valid at the commit's time, %s", ssh.FingerprintSHA256(key), at.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("it is signed by the key %s, which is not trusted", ssh.FingerprintSHA256(key))
}
