package deployment

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Ways by which process 1 comes to the passphrase of an encrypted disk.
const (
	// UnlockTPM2 has a TPM give it out, which systemd-cryptenroll has sealed it in.
	UnlockTPM2 = "tpm2"
	// UnlockKeyFile reads it from a file on another disk.
	UnlockKeyFile = "keyfile"
	// UnlockPassphrase asks for it on the consoles.
	UnlockPassphrase = "passphrase"
)

// UnlockTimeout is how long somebody at the console has, in seconds, unless it is told.
const UnlockTimeout = 120

// An Unlock says how process 1 opens encrypted disks.
type Unlock struct {
	// Ways are tried in their order; none are UnlockTPM2, where a disk has such a
	// token, and UnlockPassphrase.
	Ways []string
	// KeyFile is where UnlockKeyFile finds it.
	KeyFile Location
	// Timeout is how long somebody at the console has, in seconds; 0 is UnlockTimeout.
	Timeout int
}

// Order are the ways to try, of a disk that has a passphrase sealed in a TPM or not.
func (u Unlock) Order(sealed bool) []string {
	switch {
	case len(u.Ways) > 0:
		return u.Ways
	case sealed:
		return []string{UnlockTPM2, UnlockPassphrase}
	}
	return []string{UnlockPassphrase}
}

// UnlockIn is what kernel arguments say, each of which CheckArg accepts; the last one
// counts.
func UnlockIn(args []string) (u Unlock) {
	for _, arg := range args {
		if value, ok := strings.CutPrefix(unquoted(arg), ParamUnlock+"="); ok {
			u, _ = ParseUnlock(value)
		}
	}
	return u
}

// Check accepts what can be told a kernel.
func (u Unlock) Check() error {
	for i, way := range u.Ways {
		switch {
		case !slices.Contains([]string{UnlockTPM2, UnlockKeyFile, UnlockPassphrase}, way):
			return fmt.Errorf("%.40q is none of %s, %s and %s", way, UnlockTPM2, UnlockKeyFile, UnlockPassphrase)
		case slices.Contains(u.Ways[:i], way):
			return fmt.Errorf("%s is there twice", way)
		}
	}
	if u.Timeout < 0 || u.Timeout > maxWait {
		return fmt.Errorf("a timeout of %d seconds; want 1 to %d", u.Timeout, maxWait)
	}
	switch wanted := slices.Contains(u.Ways, UnlockKeyFile); {
	case wanted && u.KeyFile == Location{}:
		return fmt.Errorf("%s without the place of one", UnlockKeyFile)
	case !wanted && u.KeyFile != Location{}:
		return fmt.Errorf("the place of a key file, and no %s among the ways", UnlockKeyFile)
	case !wanted:
		return nil
	}
	if strings.Contains(u.KeyFile.String(), ",") {
		return errors.New("a comma in the place of the key file, which separates the ways")
	}
	_, err := ParseLocation(u.KeyFile.String())
	return err
}

// String returns the form that ParamUnlock carries.
func (u Unlock) String() string {
	words := slices.Clone(u.Ways)
	for i, way := range words {
		if way == UnlockKeyFile {
			words[i] += ":" + u.KeyFile.String()
		}
	}
	if u.Timeout > 0 {
		words = append(words, "timeout:"+strconv.Itoa(u.Timeout))
	}
	return strings.Join(words, ",")
}

// ParseUnlock reads the form that String writes; "" is zero.
func ParseUnlock(s string) (u Unlock, err error) {
	if s == "" {
		return Unlock{}, nil
	}
	for word := range strings.SplitSeq(s, ",") {
		way, value, told := strings.Cut(word, ":")
		switch {
		case way == "timeout" && told:
			u.Timeout, err = parseSeconds(value)
		case way == UnlockKeyFile && told:
			u.Ways = append(u.Ways, way)
			u.KeyFile, err = ParseLocation(value)
		case told:
			err = fmt.Errorf("%.40q is followed by a colon", way)
		default:
			u.Ways = append(u.Ways, way)
		}
		if err != nil {
			return Unlock{}, err
		}
	}
	return u, u.Check()
}
