package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// The generated part of a Markdown page lies between these lines.
const (
	beginMark = "<!-- bench: made by make bench -->"
	endMark   = "<!-- end -->"
)

// A report is what was measured, and on what.
type report struct {
	Date    string
	Machine []string
	Rows    []reportRow
}

type reportRow struct {
	ID, What, Against string
	result
}

func newReport(ctx context.Context) (*report, error) {
	rep := &report{Date: time.Now().UTC().Format(time.DateOnly)}
	text, err := lab.Run(ctx, "bash", "-c", `
		sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1
		grep -qw sha_ni /proc/cpuinfo && echo "sha256 in hardware" || echo "sha256 in software"
		echo "Linux $(uname -r)"
		for p in squashfs-tools-ng squashfs-tools zstd git skopeo umoci ostree buildah qemu-system-x86; do
			dpkg-query -W -f '${Package} ${Version}\n' $p
		done
		git -c safe.directory=* describe --tags --always --dirty`)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines[0] = fmt.Sprintf("%d × %s", runtime.NumCPU(), lines[0])
	lines[len(lines)-1] = "gitboot " + lines[len(lines)-1]
	rep.Machine = append(lines, runtime.Version())
	return rep, nil
}

func (rep *report) add(r row, res result) {
	rep.Rows = append(rep.Rows, reportRow{r.id, r.what, r.against, res})
	for _, c := range res.Checks {
		fmt.Printf("    %s (%s): %s\n", c.Figure, c.Target, verdict(c.Met))
	}
}

// counted is how many pairs the row's first check rests on.
func (r reportRow) counted(check int) string {
	switch {
	case check > 0:
		return ""
	case len(r.Pairs) == 0:
		return "–"
	}
	return strconv.Itoa(len(r.Pairs))
}

// save writes all samples so far, if there is a file to write them to.
func (rep *report) save(path string) error {
	if path == "" {
		return nil
	}
	return printJSON(path, rep)
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

// print writes the table for a terminal.
func (rep *report) print() {
	fmt.Println()
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "row\tours\ttheirs\tfigure\tto reach\t")
	for _, r := range rep.Rows {
		for _, c := range r.Checks {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Ours, r.Theirs, c.Figure, c.Target, verdict(c.Met))
		}
	}
	// A terminal that is gone is no failure of the benchmark.
	_ = t.Flush()
}

// publish replaces the generated part of a page.
func (rep *report) publish(path string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(page, []byte(beginMark))
	_, after, ok2 := bytes.Cut(rest, []byte(endMark))
	if !ok || !ok2 {
		return errors.New(path + ": no place for the table, between the lines " + beginMark + " and " + endMark)
	}
	var b bytes.Buffer
	b.Write(before)
	fmt.Fprintf(&b, "%s\n\n%s\n%s", beginMark, rep.markdown(), endMark)
	b.Write(after)
	return os.WriteFile(path, b.Bytes(), 0o644)
}

func (rep *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s: %s.\n\n", rep.Date, strings.Join(rep.Machine, ", "))
	b.WriteString("| what | against | ours | theirs | figure | to reach | | pairs |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range rep.Rows {
		for i, c := range r.Checks {
			first := []string{r.What, r.Against, r.Ours, r.Theirs}
			if i > 0 {
				first = []string{"″", "″", "", ""}
			}
			for j, cell := range first {
				first[j] = strings.ReplaceAll(cell, "|", "\\|")
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", strings.Join(first, " | "), c.Figure, c.Target, verdict(c.Met), r.counted(i))
		}
	}
	b.WriteString("\nThe commands, ours first, and what else there is to know:\n\n")
	for _, r := range rep.Rows {
		fmt.Fprintf(&b, "- `%s`", r.ID)
		for i, c := range r.Commands {
			fmt.Fprintf(&b, "%s ``%s``", []string{":", ";"}[min(i, 1)], c)
		}
		if r.Note != "" {
			b.WriteString(". " + strings.TrimSuffix(r.Note, "."))
		}
		b.WriteString(".\n")
	}
	return b.String()
}
