package device

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/initramfs/early/probe"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

// Contents say, a line each, what is on the disk and about to be lost.
func (d *Device) Contents() []string {
	var lines []string
	for _, p := range d.parted() {
		lines = append(lines, p.name+": "+strings.Join(d.held(p.size, p.label, io.NewSectionReader(d.file, p.start, p.size)), ", "))
	}
	if len(lines) == 0 {
		if what := d.held(d.Size, "", d.file); len(what) > 1 {
			lines = append(lines, "the whole disk: "+strings.Join(what, ", "))
		}
	}
	return lines
}

// A parted is a partition as it is now.
type parted struct {
	name, label string
	start, size int64
}

// parted is what the table says, or, of a table that is no GPT, the kernel.
func (d *Device) parted() (all []parted) {
	for i, p := range d.Table.Partitions {
		all = append(all, parted{fmt.Sprintf("partition %d", i+1), p.Name, p.Start, p.Length})
	}
	if all != nil || d.plain {
		return all
	}
	dirs, err := filepath.Glob(filepath.Join("/sys/class/block", d.Name, d.Name+"*"))
	if err != nil {
		return nil
	}
	for _, dir := range dirs {
		start, err1 := strconv.ParseInt(attribute(dir, "start"), 10, 54)
		size, err2 := strconv.ParseInt(attribute(dir, "size"), 10, 54)
		if err1 == nil && err2 == nil {
			all = append(all, parted{"partition " + attribute(dir, "partition"), "", start * 512, size * 512})
		}
	}
	return all
}

// held are words about a part of the disk.
func (d *Device) held(size int64, label string, content io.ReaderAt) []string {
	words := []string{progress.Bytes(size)}
	if label != "" {
		words = append(words, plain.Line(label))
	}
	if fs, ok := probe.Identify(content); ok {
		words = append(words, fs.Type)
		if l := plain.Line(fs.Label); l != "" && l != label {
			words = append(words, l)
		}
	}
	return words
}
