package spec

import (
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/BurntSushi/toml"

	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/position"
)

// filesAhead is how many config files are read before the first of them is decoded, and
// sizeAhead how large one of them may be.
const filesAhead, sizeAhead = 32, 64 << 10

// A parsed file is its TOML as maps, and where its keys are.
type parsed struct {
	name, text string
	// unread is why it could not be read; then there is nothing else.
	unread error
	scan   *position.Scanner
	table  map[string]any
	wrong  error // with the TOML
}

// inTurn gives files in their order. While some are decoded, the next are read and parsed.
func (l *loader) inTurn(names []string) iter.Seq[parsed] {
	return func(yield func(parsed) bool) {
		next := l.ahead(names[:min(filesAhead, len(names))])
		for len(names) > 0 {
			files := next()
			names = names[len(files):]
			next = l.ahead(names[:min(filesAhead, len(names))])
			for _, file := range files {
				if !yield(file) {
					next()
					return
				}
			}
		}
	}
}

// ahead begins to read and to parse files, several side by side, and returns what waits for
// them. Some may not fit.
func (l *loader) ahead(names []string) (wait func() []parsed) {
	files := make([]parsed, len(names))
	most, keys := min(l.bytes, sizeAhead), l.keys // which those before them go on spending
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		workers.Go(func() {
			for l.Ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(names) {
					return
				}
				if files[i].open(l.fleet.fsys, names[i], most) {
					files[i].parse(keys)
				}
			}
		})
	}
	return func() []parsed {
		workers.Wait()
		return files
	}
}

// fits reports whether a file that was read ahead is what it would be if it were read now:
// those before it have left enough.
func (l *loader) fits(file parsed) bool {
	return file.unread == nil && len(file.text) <= l.bytes && file.scan.Keys <= l.keys
}

// parsed reads and parses a file. The library cannot be interrupted: what it does for a
// large document is left alone when the context ends.
func (l *loader) parsed(name string) (file parsed) {
	if !file.open(l.fleet.fsys, name, l.bytes) {
		return file
	}
	done := make(chan parsed, 1)
	go func(file parsed, most int) {
		file.parse(most)
		done <- file
	}(file, l.keys)
	select {
	case file = <-done:
	case <-l.Ctx.Done():
	}
	return file
}

// open reads a file of at most so many bytes.
func (p *parsed) open(fsys fs.FS, name string, most int) bool {
	text, err := bounds.ReadFile(fsys, name, most)
	p.name, p.text, p.unread = name, string(text), err
	return err == nil
}

// parse finds the keys, at most so many, and has the library parse what is not too much.
func (p *parsed) parse(most int) {
	p.scan = position.Scan(p.name, p.text, most)
	if p.scan.Keys <= p.scan.Most && p.scan.Refused == "" {
		p.wrong = decodeTOML(p.text, &p.table)
	}
}

// decodeTOML turns the library's own failed assertions into errors: no
// document may end the agent.
func decodeTOML(text string, into *map[string]any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	_, err = toml.Decode(text, into)
	return err
}
