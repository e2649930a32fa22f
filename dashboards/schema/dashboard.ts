// What a dashboard of ours may be: Grafana's own types of a dashboard and of the options of each kind of panel, with the
// names of its enumerations written as they are in files. Keys that Grafana does not know are errors.
import type { Dashboard, FieldConfig, Panel, RowPanel } from '@grafana/schema';
import type * as barchart from '@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen';
import type * as logs from '@grafana/schema/dist/esm/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// Plain is a type with its enumerations of strings replaced by the strings.
type Plain<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;

type Of<Kind extends string, Options, Custom> = Omit<Panel, 'type' | 'options' | 'fieldConfig'> & {
  type: Kind;
  title: string;
  description: string;
  options: Options;
  fieldConfig: { defaults: Omit<FieldConfig, 'custom'> & { noValue: string; custom?: Custom }; overrides: NonNullable<Panel['fieldConfig']>['overrides'] };
};

type Panels =
  | Of<'barchart', barchart.Options, barchart.FieldConfig>
  | Of<'logs', logs.Options, never>
  | Of<'stat', stat.Options, never>
  | Of<'table', table.Options, table.FieldConfig>
  | Of<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | (Omit<Of<'traces', never, never>, 'options'> & { options?: Record<string, never> }); // Grafana publishes none of it.

export type Board = Plain<Omit<Dashboard, 'panels'> & { panels: (Panels | RowPanel)[] }>;
