package boot

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quote makes one word of GRUB's script language of s. Within single quotes
// GRUB's lexer takes everything as it is, up to the next single quote.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// checkText accepts what can be shown on one line of a menu.
func checkText(what, s string) error {
	if s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("%s %.100q is empty, not UTF-8, or has a control character such as a line end", what, s)
	}
	return nil
}

// maxCmdline is COMMAND_LINE_SIZE of x86 and arm64, without its final zero.
const maxCmdline = 2047

// kernelArgs returns the arguments as words for GRUB, each of which reaches
// the kernel as one parameter. GRUB puts the kernel's path before them.
func kernelArgs(kernel string, args []string) ([]string, error) {
	words, total := make([]string, 0, len(args)), len(`BOOT_IMAGE="" `)+len(kernel)
	for _, arg := range args {
		word, err := kernelArg(arg)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
		total += len(word) + len(`"" `)
	}
	if total > maxCmdline {
		return nil, fmt.Errorf("kernel arguments make a command line of %d bytes, the kernel takes %d; leave some out", total, maxCmdline)
	}
	return words, nil
}

// kernelArg takes the quotes away from key="va lue" and "key=va lue": GRUB
// puts its own around an argument with spaces.
func kernelArg(arg string) (string, error) {
	if err := checkText("kernel argument", arg); err != nil {
		return "", err
	}
	word := arg
	if key, value, ok := strings.Cut(arg, "="); ok && !strings.Contains(key, `"`) && len(value) > 1 && strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`) {
		word = key + "=" + value[1:len(value)-1]
	} else if len(arg) > 1 && strings.HasPrefix(arg, `"`) && strings.HasSuffix(arg, `"`) {
		word = arg[1 : len(arg)-1]
	}
	if strings.ContainsAny(word, `"'\`) {
		return "", fmt.Errorf("kernel argument %q has a quote or backslash that GRUB does not pass on unchanged; write it without", arg)
	}
	if strings.HasPrefix(word, " ") || word == "" {
		return "", fmt.Errorf("kernel argument %q is empty or begins with a space", arg)
	}
	return word, nil
}
