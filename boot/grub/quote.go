package grub

import "strings"

// quote makes one word of GRUB's script language of s. Within single quotes
// GRUB's lexer takes everything as it is, up to the next single quote.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
