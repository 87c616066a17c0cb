package notify

// Seams for the outside tests.
var (
	Cut      = cut
	CutRunes = cutRunes
)
