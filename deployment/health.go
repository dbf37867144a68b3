package deployment

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What Health.After and Health.Confirm may be.
const (
	// AfterDefault waits until the image's init says that the boot has ended.
	AfterDefault = "default"
	// AfterStart looks at once.
	AfterStart = "start"
	// ConfirmOutside waits for somebody or something outside of the machine.
	ConfirmOutside = "outside"
)

// maxChecks bounds each list of checks, maxWord each of their words.
const (
	maxChecks = 50
	maxWords  = 50
	maxWord   = 1000
)

// Health says when a boot counts as good. All times are in seconds.
type Health struct {
	// After is AfterDefault or AfterStart: when looking begins.
	After string `json:"after"`
	// Settle is for how long all must stay well.
	Settle int `json:"settle"`
	// Deadline is how long it may take from entering the image until all is
	// well, what is confirmed apart.
	Deadline int `json:"deadline"`
	// Required must succeed, Wanted should.
	Required *Checks `json:"required,omitempty"`
	Wanted   *Checks `json:"wanted,omitempty"`
	// Confirm is ConfirmOutside, or "" if nobody has to.
	Confirm string `json:"confirm,omitempty"`
	// ConfirmWithin is how long that may take once all else is well.
	ConfirmWithin int `json:"confirmWithin,omitempty"`
	// NoWatchdog leaves a hardware watchdog alone.
	NoWatchdog bool `json:"noWatchdog,omitempty"`
	// ConfirmURL confirms by answering, "" if none does.
	ConfirmURL string `json:"confirmURL,omitempty"`
}

// Checks are what is looked at. One after the other succeeds, or is tried again
// until the deadline.
type Checks struct {
	// Hosts answer: HOST to a ping, HOST:PORT to a connection.
	Hosts []string `json:"hosts,omitempty"`
	// Units are services of the image's init, which are active.
	Units []string `json:"units,omitempty"`
	// Commands end with status 0: a program and its arguments.
	Commands [][]string `json:"commands,omitempty"`
}

// DefaultHealth is what holds where nothing is declared.
func DefaultHealth() Health {
	return Health{After: AfterDefault, Settle: 10, Deadline: 600}
}

// DefaultConfirmWithin is how long a confirmation may take where nothing is
// declared.
const DefaultConfirmWithin = 900

// Judged is the health that the deployment is judged by.
func (m *Manifest) Judged() Health {
	if m.Health == nil {
		return DefaultHealth()
	}
	return *m.Health
}

// Equal reports whether both say the same; nil is equal to nil alone.
func (h *Health) Equal(other *Health) bool { return reflect.DeepEqual(h, other) }

// Validate reports the first thing that nobody could judge a boot by.
func (h *Health) Validate() error {
	switch {
	case h.After != AfterDefault && h.After != AfterStart:
		return fmt.Errorf("after is %.40q, which is neither %s nor %s", h.After, AfterDefault, AfterStart)
	case h.Settle < 0 || h.Settle > maxWait:
		return errors.New("settle is not within a day")
	case h.Deadline < 1 || h.Deadline > maxWait:
		return errors.New("the deadline is not within a day")
	case h.Settle >= h.Deadline:
		return fmt.Errorf("settling takes %d s, so that the deadline of %d s cannot be met", h.Settle, h.Deadline)
	case h.Confirm != "" && h.Confirm != ConfirmOutside:
		return fmt.Errorf("confirm is %.40q, there is only %s", h.Confirm, ConfirmOutside)
	case h.Confirm == "" && (h.ConfirmWithin != 0 || h.ConfirmURL != ""):
		return fmt.Errorf("what confirms is given without confirm = %q", ConfirmOutside)
	case h.Confirm != "" && (h.ConfirmWithin < 1 || h.ConfirmWithin > maxWait):
		return errors.New("the time to confirm is not within a day")
	}
	if h.ConfirmURL != "" {
		if _, err := ParseURL(h.ConfirmURL); err != nil {
			return fmt.Errorf("confirm_url %.100q %w", h.ConfirmURL, err)
		}
	}
	if err := h.Required.validate(); err != nil {
		return err
	}
	return h.Wanted.validate()
}

func (c *Checks) validate() error {
	if c == nil {
		return nil
	}
	if len(c.Hosts) > maxChecks || len(c.Units) > maxChecks || len(c.Commands) > maxChecks {
		return fmt.Errorf("there are more than %d checks of one kind", maxChecks)
	}
	for _, host := range c.Hosts {
		if _, err := ParseHost(host); err != nil {
			return fmt.Errorf("host %.100q %w", host, err)
		}
	}
	for _, unit := range c.Units {
		if err := CheckUnit(unit); err != nil {
			return fmt.Errorf("unit %.100q %w", unit, err)
		}
	}
	for _, command := range c.Commands {
		if err := CheckCommand(command); err != nil {
			return fmt.Errorf("command %.100q %w", strings.Join(command, " "), err)
		}
	}
	return nil
}

// CheckUnit accepts the name of a service. Its error completes "the unit …".
func CheckUnit(name string) error {
	ok := func(c byte) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(`:_.@\-`, c) >= 0
	}
	switch {
	case name == "" || len(name) > 255:
		return errors.New("is empty or longer than 255 characters")
	case strings.HasPrefix(name, "-") || strings.HasPrefix(name, "."):
		return errors.New("begins with a dash or a dot")
	}
	for _, c := range []byte(name) {
		if !ok(c) {
			return errors.New(`has a character other than letters, digits and :_.@\-`)
		}
	}
	return nil
}

// CheckCommand accepts a program and its arguments, which no shell sees. Its
// error completes "the command …".
func CheckCommand(argv []string) error {
	switch {
	case len(argv) == 0 || argv[0] == "":
		return errors.New("names no program")
	case len(argv) > maxWords:
		return fmt.Errorf("has more than %d words", maxWords)
	case strings.Contains(argv[0], "/") && (!path.IsAbs(argv[0]) || path.Clean(argv[0]) != argv[0]):
		return errors.New("names a program by a path that is not a clean one from /; write that, or its name alone")
	}
	for _, word := range argv {
		if len(word) > maxWord || !utf8.ValidString(word) || strings.ContainsRune(word, 0) {
			return fmt.Errorf("has a word that is longer than %d bytes, not UTF-8, or has a zero byte", maxWord)
		}
	}
	return nil
}

// A Host is something on a network that answers.
type Host struct {
	// Name is a name or an address.
	Name string
	// Port is 0 for a ping.
	Port uint16
}

// ParseHost reads HOST, HOST:PORT, an IPv6 address, or [IPv6]:PORT. Its error
// completes "the host …".
func ParseHost(s string) (Host, error) {
	if address, err := netip.ParseAddr(s); err == nil {
		return Host{Name: address.String()}, nil
	}
	name, port, found := strings.Cut(s, ":")
	if strings.HasPrefix(s, "[") {
		name, port, found = strings.Cut(s[1:], "]")
		if address, err := netip.ParseAddr(name); err != nil || !address.Is6() {
			return Host{}, errors.New("has no IPv6 address between its brackets")
		}
		if rest, ok := strings.CutPrefix(port, ":"); ok {
			port = rest
		} else if found = port != ""; found {
			return Host{}, errors.New("has something else than a port behind its address")
		}
	} else if !isHostName(name) {
		return Host{}, errors.New("is neither an address nor a name")
	}
	if !found {
		return Host{Name: name}, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Host{}, fmt.Errorf("has port %.20q, which is not one of 1 to 65535", port)
	}
	return Host{Name: name, Port: uint16(n)}, nil
}

func isHostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	return !slices.ContainsFunc(strings.Split(strings.TrimSuffix(s, "."), "."), func(label string) bool {
		return label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		})
	})
}

// A URL is what is asked by plain HTTP.
type URL struct {
	Host Host
	// Authority is the host as a request names it, Path what is asked for.
	Authority, Path string
}

// ParseURL reads http://HOST[:PORT][/PATH]. Its error completes "the URL …".
func ParseURL(s string) (URL, error) {
	rest, ok := strings.CutPrefix(s, "http://")
	if !ok {
		return URL{}, errors.New("does not begin with http://, and process 1 speaks no other protocol; use a required command, such as curl of the image")
	}
	authority, file, _ := strings.Cut(rest, "/")
	host, err := ParseHost(authority)
	if err != nil {
		return URL{}, err
	}
	if len(s) > maxWord || strings.ContainsFunc(file, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }) {
		return URL{}, errors.New("has a space, a # or a character that is not ASCII")
	}
	if host.Port == 0 {
		host.Port = 80
	}
	return URL{Host: host, Authority: authority, Path: "/" + file}, nil
}
