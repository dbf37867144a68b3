package usage

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// newCommands has one group with one command, which takes one argument.
func newCommands() *cobra.Command {
	leaf := &cobra.Command{Use: "leaf NAME", Args: Args(cobra.ExactArgs(1)), RunE: func(*cobra.Command, []string) error { return nil }}
	bare := &cobra.Command{Use: "bare", Args: NoArgs, RunE: leaf.RunE}
	root := &cobra.Command{Use: "gitboot", SilenceErrors: true, SilenceUsage: true, SuggestionsMinimumDistance: 2, Args: KnownCommand, RunE: leaf.RunE}
	root.AddCommand(Group("twig", "a group", leaf, bare))
	root.SetFlagErrorFunc(OfCobra)
	StrictHelp(root)
	return root
}

// Whatever is typed wrong is an Error that says what to do.
func TestErrors(t *testing.T) {
	for typed, want := range map[string]string{
		"twig leaf a": "", "twig bare": "", "": "", "help twig leaf": "",
		"twog":          `there is no command "twog"; did you mean twig? see`,
		"twig":          "gitboot twig needs one of its commands; see `gitboot twig --help`",
		"twig laef":     `there is no command "laef"; did you mean leaf? see`,
		"twig leaf":     "accepts 1 arg(s), received 0; see `gitboot twig leaf --help`",
		"twig bare x":   `gitboot twig bare does not take "x"; see`,
		"twig bare --x": "unknown flag: --x; see `gitboot twig bare --help`",
		"help nothing":  `there is no command "nothing"; see`,
	} {
		root := newCommands()
		root.SetArgs(strings.Fields(typed))
		root.SetOut(new(strings.Builder))
		err := root.Execute()
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", typed, err)
			}
			continue
		}
		if wrong := (*Error)(nil); !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", typed, err, want)
		}
	}
}
