package virtual

import (
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/qemu"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
)

// Hardware are the flags that say what a machine has, and where is kept what it
// prints.
type Hardware struct {
	memory, log string
	cpus        int
	network     bool
}

// Bind adds the flags to a command's, each of whose descriptions begins with a text.
func (h *Hardware) Bind(f *pflag.FlagSet, begin string) {
	f.BoolVar(&h.network, "network", false, begin+"let the machine reach what this one reaches")
	f.StringVar(&h.log, "log", "", begin+"write what the machine prints on its console to `FILE`")
	f.StringVar(&h.memory, "memory", "", begin+"the machine's memory (default 2GB)")
	f.IntVar(&h.cpus, "cpus", 2, begin+"how many processors it has")
}

// Given returns the first of these flags that was given, "" if none was.
func (h *Hardware) Given(f *pflag.FlagSet) (name string) {
	for _, flag := range []string{"network", "log", "memory", "cpus"} {
		if f.Changed(flag) {
			return flag
		}
	}
	return ""
}

// Options are the flags, checked. What was not given is chosen later.
func (h *Hardware) Options() (o rehearsal.Options, err error) {
	o = rehearsal.Options{Temp: rehearsal.TempDir(), CPUs: h.cpus, Known: rehearsal.KnownKVM()}
	if h.memory != "" {
		if o.Memory, err = progress.ParseBytes(h.memory); err != nil || o.Memory < 64e6 {
			return o, usage.Errorf("--memory %q: write how much, such as 2GB; a machine takes 64MB at least", h.memory)
		}
	}
	if h.cpus < 1 || h.cpus > 255 {
		return o, usage.Errorf("--cpus %d: a machine has 1 to 255", h.cpus)
	}
	if h.network {
		o.Network = qemu.Outside
	}
	return o, nil
}

// OpenLog opens the file for what the machine prints, if there is to be one.
func (h *Hardware) OpenLog(o *rehearsal.Options) (closed func() error, err error) {
	if h.log == "" {
		return func() error { return nil }, nil
	}
	log, err := os.OpenFile(h.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, &usage.Error{Err: err}
	}
	o.Log = io.Writer(log)
	return log.Close, nil
}
