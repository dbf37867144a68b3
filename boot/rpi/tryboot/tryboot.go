// Package tryboot is what process 1 has to know of a Raspberry Pi's boot partition: which of
// its files the firmware reads, and how what it tried becomes what it boots.
package tryboot

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/boot/marked"
)

// What the firmware reads: one file at each boot, the other at one that was asked for by
// "tryboot".
const (
	Config = "config.txt"
	Try    = "tryboot.txt"
)

// bootsMark begins the line of our part that says which entry the file boots.
const bootsMark = "# Boots: "

// Boots is that line of an entry.
func Boots(entry string) string { return bootsMark + entry }

// Entry is the entry that a file boots, "" if it is none of ours.
func Entry(f *marked.File) string {
	for _, line := range f.Ours {
		if id, ok := strings.CutPrefix(line, bootsMark); ok {
			return id
		}
	}
	return ""
}

// Keep has the firmware boot, from now on, an entry that it was asked to try: what tryboot.txt
// says of it is then what config.txt does. It is nobody's business if that says another by now.
func Keep(top, entry string) error {
	try, err := marked.Read(filepath.Join(top, Try))
	if err != nil || Entry(try) != entry {
		return err
	}
	config, err := marked.Read(filepath.Join(top, Config))
	if err != nil {
		return err
	}
	config.Last()
	if err := config.Replace(marked.Part(config.Linked(), try.Lines())); err != nil {
		return fmt.Errorf("have the firmware boot what it has tried: %w", err)
	}
	return nil
}
