package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// A whole distribution's upgrade does not flood the terminal.
func TestDiffIsBounded(t *testing.T) {
	d := report.Diff{Databases: true}
	for i := range 120 {
		d.Changes = append(d.Changes, packages.Change{Op: packages.Upgraded, Name: fmt.Sprintf("p%03d", i), From: "1", To: "2"})
	}
	var out strings.Builder
	if err := printDiff(&out, d); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Count(text, "upgraded  p") != maxRows || !strings.HasSuffix(text, "and 70 more; --json lists all\n") || !strings.Contains(text, "packages: 120 upgraded\n") {
		t.Error(text)
	}
}
