// Package env reads and writes GRUB's environment block: the file, 1024
// bytes long, in which GRUB keeps variables from one boot to the next.
//
// The format is that of GRUB's grub-core/lib/envblk.c:
//
//	# GRUB Environment Block\n
//	name=value\n               as often as needed
//	#######…                   up to 1024 bytes
//
// In a value, a backslash goes before a backslash and a newline; nothing else
// is escaped. Lines that begin with # are comments, which are kept. GRUB writes
// the file in place and only within its length, so its length never changes.
//
// The package is a codec: it opens no file.
package env

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

const (
	// Size is the length of a block in bytes.
	Size = 1024

	signature = "# GRUB Environment Block\n"
)

// A Block holds variables in the order in which they stand in the file.
type Block struct {
	comments string // whole lines, after the signature
	vars     []variable
}

type variable struct{ name, value string }

// Parse reads a block. An error means that GRUB would refuse or misread it.
// Of variables with one name the last counts, as it does for GRUB's load_env.
func Parse(data []byte) (*Block, error) {
	if len(data) != Size {
		return nil, fmt.Errorf("environment block has %d bytes, want %d", len(data), Size)
	}
	rest, ok := bytes.CutPrefix(data, []byte(signature))
	if !ok {
		return nil, fmt.Errorf("environment block does not begin with %q", signature)
	}
	b := new(Block)
	for n := 1; ; n++ {
		line, after, ended := cutLine(rest)
		if !ended {
			break
		}
		if err := b.parseLine(string(line)); err != nil {
			return nil, fmt.Errorf("environment block, line %d: %w", n+1, err)
		}
		rest = after
	}
	if len(bytes.TrimLeft(rest, "#")) > 0 {
		return nil, fmt.Errorf("environment block ends with %q instead of #", bytes.TrimLeft(rest, "#"))
	}
	return b, nil
}

// cutLine returns what is before the first newline that no backslash escapes.
func cutLine(data []byte) (line, rest []byte, ended bool) {
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '\n':
			return data[:i], data[i+1:], true
		}
	}
	return data, nil, false
}

func (b *Block) parseLine(line string) error {
	if strings.HasPrefix(line, "#") {
		b.comments += line + "\n"
		return nil
	}
	name, escaped, ok := strings.Cut(line, "=")
	if !ok {
		return fmt.Errorf("%.60q is not name=value", line)
	}
	b.Unset(name)
	return b.Set(name, unescape(escaped))
}

// Get returns the value of a variable, and whether it is set.
func (b *Block) Get(name string) (string, bool) {
	if i := b.index(name); i >= 0 {
		return b.vars[i].value, true
	}
	return "", false
}

// Set gives a variable a value. Whether it fits is known to Marshal.
func (b *Block) Set(name, value string) error {
	if name == "" || strings.HasPrefix(name, "#") || strings.ContainsAny(name, "=\\\n\x00") {
		return fmt.Errorf("%.60q cannot be the name of a GRUB variable", name)
	}
	if strings.ContainsRune(value, 0) {
		return fmt.Errorf("value of %s has a zero byte, which GRUB cannot hold", name)
	}
	if i := b.index(name); i >= 0 {
		b.vars[i].value = value
		return nil
	}
	b.vars = append(b.vars, variable{name, value})
	return nil
}

// Unset removes a variable, if it is there.
func (b *Block) Unset(name string) {
	if i := b.index(name); i >= 0 {
		b.vars = slices.Delete(b.vars, i, i+1)
	}
}

// Names returns the names of all variables, in the order of the file.
func (b *Block) Names() []string {
	names := make([]string, 0, len(b.vars))
	for _, v := range b.vars {
		names = append(names, v.name)
	}
	return names
}

// Marshal returns the file's content, or an error if it does not fit.
func (b *Block) Marshal() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(signature + b.comments)
	for _, v := range b.vars {
		out.WriteString(v.name + "=" + escape(v.value) + "\n")
	}
	if out.Len() > Size {
		return nil, fmt.Errorf("environment block would have %d bytes, the limit is %d; unset variables that are not needed", out.Len(), Size)
	}
	out.WriteString(strings.Repeat("#", Size-out.Len()))
	return out.Bytes(), nil
}

func (b *Block) index(name string) int {
	return slices.IndexFunc(b.vars, func(v variable) bool { return v.name == name })
}

func escape(value string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", "\\\n").Replace(value)
}

// unescape takes a backslash before anything as GRUB does.
func unescape(escaped string) string {
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		if escaped[i] == '\\' && i+1 < len(escaped) {
			i++
		}
		b.WriteByte(escaped[i])
	}
	return b.String()
}
