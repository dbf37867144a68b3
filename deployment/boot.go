package deployment

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// BootsDir is the folder of a stage that holds the records of boots.
const BootsDir = "boots"

// What Boot.Verdict may be. "" is that nothing was decided: the boot is going
// on, or it ended before.
const (
	BootGood = "good"
	BootBad  = "bad"
)

// Bounds of a record, in bytes.
const (
	// MaxBootLog is how much is kept of the kernel's log.
	MaxBootLog   = 16 << 10
	maxReason    = 2 << 10
	maxShort     = 512
	maxWarnings  = 20
	maxBootFile  = 256 << 10
	bootIDLength = 36
)

// A Boot is what is known of one boot of a machine:
// boots/<boot id>.json on the stage. Process 1, the watcher and the agent write
// it, each the whole of it.
type Boot struct {
	// ID is the kernel's, of /proc/sys/kernel/random/boot_id.
	ID         string `json:"id"`
	Machine    string `json:"machine,omitempty"`
	Deployment string `json:"deployment"`
	// Entry is the boot menu's, "" if that is not known.
	Entry string `json:"entry,omitempty"`
	// Trying is that the deployment was on trial.
	Trying bool `json:"trying,omitempty"`
	// Via is what started the kernel, "" for a boot loader, else ViaKexec.
	Via string `json:"via,omitempty"`
	// Started is when the kernel did, by the machine's clock.
	Started time.Time `json:"started"`
	Verdict string    `json:"verdict,omitempty"`
	// Reason is why it is bad, for people.
	Reason string `json:"reason,omitempty"`
	// Seconds is how long it took from Started to the verdict.
	Seconds float64 `json:"seconds,omitempty"`
	// Warnings are what should have been well and was not.
	Warnings []string `json:"warnings,omitempty"`
	// Damaged are the objects that it found not to be what they were, by their hashes,
	// and Marked those of them that the agent has noted.
	Damaged []string `json:"damaged,omitempty"`
	Marked  []string `json:"marked,omitempty"`
	// Log is the end of the kernel's log, whole lines, of what is bad.
	Log string `json:"log,omitempty"`
	// Crash is the end of what the kernel kept of its log when it ended, whole lines,
	// where there is such a memory (pstore).
	Crash string `json:"crash,omitempty"`
}

// Path returns the record's path below the stage, with forward slashes.
func (b Boot) Path() string { return BootsDir + "/" + b.ID + ".json" }

// Encode returns the record's file, with all that is too long cut.
func (b Boot) Encode() ([]byte, error) {
	if !IsBootID(b.ID) {
		return nil, fmt.Errorf("record of boot: %.80q is not the id of a boot", b.ID)
	}
	b.bound()
	out, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("record of boot %s: %w", b.ID, err)
	}
	return append(out, '\n'), nil
}

// ParseBoot reads a record, whoever wrote it: what is in it is bounded, and
// what it has beyond is left out.
func ParseBoot(data []byte) (Boot, error) {
	var b Boot
	if err := json.Unmarshal(data, &b); err != nil {
		return Boot{}, fmt.Errorf("record of boot: %w", err)
	}
	if !IsBootID(b.ID) || b.Deployment != "" && !IsHash(b.Deployment) {
		return Boot{}, errors.New("record of boot: it names no boot, or none of a deployment")
	}
	b.bound()
	return b, nil
}

// ReadBoot reads the record of one boot below a stage.
func ReadBoot(stage, id string) (Boot, error) {
	if !IsBootID(id) {
		return Boot{}, fmt.Errorf("%.80q is not the id of a boot", id)
	}
	f, err := os.Open(filepath.Join(stage, filepath.FromSlash(Boot{ID: id}.Path())))
	if err != nil {
		return Boot{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBootFile+1))
	if err != nil {
		return Boot{}, err
	}
	b, err := ParseBoot(data)
	if err == nil && b.ID != id {
		err = fmt.Errorf("record of boot %s is of another, %s", id, b.ID)
	}
	return b, err
}

// ReadBoots reads all records below a stage, the newest first. What is none
// is left out: a record decides nothing by itself.
func ReadBoots(stage string) ([]Boot, error) {
	entries, err := os.ReadDir(filepath.Join(stage, BootsDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read records of boots: %w", err)
	}
	var boots []Boot
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !e.Type().IsRegular() {
			continue
		}
		if b, err := ReadBoot(stage, id); err == nil {
			boots = append(boots, b)
		}
	}
	slices.SortStableFunc(boots, func(a, b Boot) int { return b.Started.Compare(a.Started) })
	return boots, nil
}

// Last is the end of the kernel's log, "" if it is not known: what the kernel kept of
// it, else what was noted before it ended.
func (b Boot) Last() string { return cmp.Or(b.Crash, b.Log) }

// bound cuts what is too long.
func (b *Boot) bound() {
	b.Machine, b.Entry = head(b.Machine, maxShort), head(b.Entry, maxShort)
	if b.Via != ViaKexec {
		b.Via = ""
	}
	b.Reason = head(b.Reason, maxReason)
	b.Log, b.Crash = tail(b.Log, MaxBootLog), tail(b.Crash, MaxBootLog)
	b.Warnings = slices.Clone(b.Warnings[:min(len(b.Warnings), maxWarnings)])
	b.Damaged, b.Marked = hashes(b.Damaged), hashes(b.Marked)
	for i := range b.Warnings {
		b.Warnings[i] = head(b.Warnings[i], maxShort)
	}
	if b.Verdict != BootGood && b.Verdict != BootBad {
		b.Verdict = ""
	}
	if !(b.Seconds >= 0 && b.Seconds < 1e9) {
		b.Seconds = 0
	}
}

// maxDamaged is how many damaged objects a record names.
const maxDamaged = 64

// hashes are those that are some.
func hashes(all []string) (out []string) {
	for _, h := range all {
		if IsHash(h) && len(out) < maxDamaged {
			out = append(out, h)
		}
	}
	return out
}

// Knows reports whether an object is one of those that it found damaged.
func (b Boot) Knows(hash string) bool { return slices.Contains(b.Damaged, hash) }

// Unmarked are the damaged objects that nobody has noted yet.
func (b Boot) Unmarked() (out []string) {
	for _, h := range b.Damaged {
		if !slices.Contains(b.Marked, h) {
			out = append(out, h)
		}
	}
	return out
}

// head returns the first bytes of s, whole characters.
func head(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// tail returns the last whole lines of s.
func tail(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	s = s[len(s)-most:]
	if _, rest, ok := strings.Cut(s, "\n"); ok {
		return rest
	}
	return strings.ToValidUTF8(s, "")
}

// LastWords is the last line of a kernel's log that gitboot's own programs have not
// written, "" if there is none.
func LastWords(log string) string {
	for _, line := range slices.Backward(strings.Split(log, "\n")) {
		_, text, _ := strings.Cut(line, "] ")
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(text, "gitboot-") {
			return line
		}
	}
	return ""
}

// IsBootID reports whether s has the form of the kernel's boot ids, that of a
// UUID in lower case.
func IsBootID(s string) bool {
	if len(s) != bootIDLength {
		return false
	}
	for i, c := range []byte(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
