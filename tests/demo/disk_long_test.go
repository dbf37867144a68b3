//go:build long

package main

import (
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// So is the other one.
func TestLongDiskDemo(t *testing.T) {
	lab.RequireMachines(t)
	d, err := newDemo(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.run(t.Context(), t.Output(), d.diskSteps()); err != nil {
		t.Fatal(err)
	}
}

// And so is the third.
func TestLongInstallDemo(t *testing.T) {
	lab.RequireMachines(t)
	d, err := newDemo(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.run(t.Context(), t.Output(), d.installSteps()); err != nil {
		t.Fatal(err)
	}
}
