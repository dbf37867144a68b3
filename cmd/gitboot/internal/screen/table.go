package screen

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// JSON prints what a command tells to programs.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Table prints rows under a header, columns aligned.
func Table(w io.Writer, header string, rows [][]any) error {
	var text strings.Builder
	tw := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, header)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(tw, "\t")
			}
			fmt.Fprint(tw, cell)
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	head, body, _ := strings.Cut(text.String(), "\n")
	_, err := io.WriteString(w, PaintFor(w).In(Bold, head)+"\n"+body)
	return err
}

// Count says how many there are of something.
func Count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case what == "push":
		return fmt.Sprintf("%d pushes", n)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Mark is a table's cell that is marked or not.
func Mark(yes bool) string {
	if yes {
		return "*"
	}
	return ""
}

// OrDash is a table's cell that is never empty.
func OrDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
