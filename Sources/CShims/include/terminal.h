#pragma once
/// Columns of the terminal behind a descriptor; 0 when it is none or does not say.
int apus_terminal_columns(int descriptor);
/// Its rows; 0 when it is none or does not say.
int apus_terminal_rows(int descriptor);
/// Stops a terminal from showing what is typed, also when a signal ends the process before it shows it again. 0 or -1.
int apus_terminal_hide_input(int descriptor);
/// Ends that.
void apus_terminal_show_input(int descriptor);
