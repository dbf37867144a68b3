package recipe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Script returns the repo's path of the program that a bootstrap command runs,
// if that is one of the repo's: its first word begins with "./".
func (r *Recipe) Script() (string, bool) {
	if len(r.Bootstrap) == 0 {
		return "", false
	}
	name, ok := strings.CutPrefix(r.Bootstrap[0], "./")
	return path.Clean(name), ok
}

// loadScript gathers the folder that a bootstrap's script lies in: as a
// recipe's, it sees what is beside it. At the repo's root, it is alone.
func (r *renderer) loadScript() {
	name, ok := r.Script()
	if !ok {
		return
	}
	at := Problem{At: []string{"bootstrap", "0"}, Value: r.Bootstrap[0]}
	if err := r.read.program(name); err != nil {
		r.problems.add(at, err)
		return
	}
	files := newCollector(r.read)
	from := path.Dir(name)
	if from == "." {
		from = name
	}
	r.problems.add(at, files.script(from, within(path.Dir(name), from)))
	r.Beside = files.sorted()
	r.parts = append(r.parts, files.parts()...)
}

// program refuses a file of the repo that the kernel could not execute.
func (r *reader) program(name string) error {
	info, err := fs.Stat(r.fsys, name)
	switch {
	case err != nil:
		return missing(err)
	case !info.Mode().IsRegular():
		return refuse("name a program", "is not a file")
	case info.Mode()&0o111 == 0:
		return refuse("run git update-index --chmod=+x "+name, "is not executable")
	}
	f, err := r.fsys.Open(name)
	if err != nil {
		return missing(err)
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return err
	}
	return interpreter(head)
}

// interpreter refuses the beginning of a file that says not what runs it.
func interpreter(head []byte) error {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	program, isScript := bytes.CutPrefix(line, []byte("#!"))
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return nil
	case !isScript || !bytes.HasPrefix(bytes.TrimLeft(program, " \t"), []byte("/")):
		return refuse("begin it with #!/bin/sh, or like", "says not what runs it")
	case bytes.HasSuffix(line, []byte("\r")):
		return refuse("save it with Unix line ends", "has a first line that ends with a carriage return, which would be part of its interpreter's name")
	}
	return nil
}

// BootstrapHash tells bases that commands make apart: by the command, what is
// beside its script, and the platform.
func (p *Prepared) BootstrapHash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", p.Bootstrap, p.Platform)
	for _, f := range p.Beside {
		fmt.Fprintf(h, "\n%q %v %s", f.Name, f.Mode, f.Sum)
	}
	return hex.EncodeToString(h.Sum(nil))
}
