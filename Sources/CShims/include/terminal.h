#pragma once
/// Columns of the terminal behind a descriptor; 0 when it is none or does not say.
int apus_terminal_columns(int descriptor);
/// Its rows; 0 when it is none or does not say.
int apus_terminal_rows(int descriptor);
