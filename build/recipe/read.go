package recipe

import (
	"errors"
	"io"
	"io/fs"

	"github.com/gitboot/gitboot/build/containerfile"
)

// maxFragment is how long a Containerfile may be, in bytes.
const maxFragment = 1 << 20

// A reader reads the repo. One that only checks reads a file once, and none
// whose content does not matter to that.
type reader struct {
	fsys      fs.FS
	reference func(string) (message, hint string)
	budget    func(int) bool
	// walked, listed and parsed are nil in one that prepares.
	walked map[string]error
	listed map[string][]string
	parsed map[string]parsed
}

// entryWork is what it costs to look at an entry of a folder.
const entryWork = 4

// errSpent ends what may not go on.
var errSpent = errors.New("it is too much to check")

func (r *reader) spend(n int) error {
	if r.budget == nil || r.budget(n) {
		return nil
	}
	return errSpent
}

func (r *reader) checks() bool { return r.walked != nil }

// parsed is what a fragment's text is.
type parsed struct {
	text   string
	all    []containerfile.Instruction
	faults []containerfile.Fault
	err    error
}

func (r *reader) fragment(name string) (text string, all []containerfile.Instruction, faults []containerfile.Fault, err error) {
	p, known := r.parsed[name]
	if !known {
		if p.text, p.err = r.text(name); p.err == nil {
			p.all, p.faults = containerfile.Parse(p.text)
		}
		if r.checks() {
			r.parsed[name] = p
		}
	}
	return p.text, p.all, p.faults, p.err
}

func (r *reader) text(name string) (string, error) {
	f, err := r.fsys.Open(name)
	if err != nil {
		return "", missing(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", refuse("name a file", "is not a file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFragment+1))
	switch {
	case err != nil:
		return "", err
	case len(data) > maxFragment:
		return "", refuse("split it, or copy what is long from a file of the context", "is longer than %d bytes", maxFragment)
	case containsMark(data):
		return "", refuse("a Containerfile is text; name another file", "holds a NUL")
	}
	return string(data), nil
}

// missing says that a file is not in the repo, or why it cannot be read.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return refuse("add it, or correct the path; paths begin at the repo's root", "is not in the repo")
	}
	return err
}
